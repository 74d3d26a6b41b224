/** The messages of the API, generated from `protos/`, with all their fields. */

export * from "./gen/blackbox_am/v1/catalog_service_pb.js";
export * from "./gen/blackbox_am/v1/oracle_service_pb.js";
export * from "./gen/blackbox_am/v1/study_event_pb.js";
export * from "./gen/blackbox_am/v1/study_pb.js";
export * from "./gen/blackbox_am/v1/study_service_pb.js";
export * from "./gen/blackbox_am/v1/tensor_pb.js";
