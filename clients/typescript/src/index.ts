/** The TypeScript client of blackbox_am. */

export type { Tls } from "./access.js";
export type { AskOptions, Candidates } from "./asking.js";
export type { ServerInfo } from "./catalog.js";
export { Client, connect, type CreateOptions, type ListOptions } from "./client.js";
export type { ConnectOptions, Signalled } from "./connection.js";
export * from "./errors.js";
export type * from "./events.js";
export * as messages from "./messages.js";
export type { StimulusDtype, StopReason, StudyState } from "./names.js";
export type { Accounting, Best, Generation, StudyProgress, TargetProgress } from "./progress.js";
export { type Limits, type Space, type StudySpec, studySpec, type Target } from "./specs.js";
export {
  type AskTellOptions,
  type AskTellResult,
  type BestOptions,
  type Model,
  Study,
  type WaitOptions,
} from "./study.js";
export type { TellOptions, TellResult, Values } from "./telling.js";
export { type Dtype, Tensor, type TypedArray } from "./tensor.js";
export { API_VERSION, VERSION } from "./version.js";
export type { WatchOptions } from "./watching.js";
export type { Activations, Observe, ObserveContext, Oracle, Stimuli } from "./oracle.js";
export { type OracleServer, serveOracle, type ServeOptions } from "./oracle_server.js";
export type { OracleLayer, OracleUnit } from "./units.js";
