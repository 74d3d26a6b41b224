# The messages and services of the API, generated at build time. They are a library of their own:
# they take minutes to compile, and change only with the files in protos/.

set(proto_files
  google/rpc/error_details.proto
  google/rpc/status.proto
  grpc/health/v1/health.proto
  blackbox_am/v1/catalog_service.proto
  blackbox_am/v1/error_reason.proto
  blackbox_am/v1/group_service.proto
  blackbox_am/v1/oracle_service.proto
  blackbox_am/v1/study.proto
  blackbox_am/v1/study_event.proto
  blackbox_am/v1/study_service.proto
  blackbox_am/v1/tensor.proto)

set(generated_dir "${CMAKE_CURRENT_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${generated_dir}")
set(generated_sources)

foreach(proto IN LISTS proto_files)
  string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
  set(outputs "${generated_dir}/${stem}.pb.cc" "${generated_dir}/${stem}.pb.h")
  set(service)
  if(stem MATCHES "(_service|/health)$")
    list(APPEND outputs "${generated_dir}/${stem}.grpc.pb.cc" "${generated_dir}/${stem}.grpc.pb.h")
    set(service "--grpc_out=${generated_dir}"
                "--plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>")
  endif()
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND protobuf::protoc -I "${BLACKBOX_AM_PROTOS}" "--cpp_out=${generated_dir}" ${service}
            "${proto}"
    DEPENDS "${BLACKBOX_AM_PROTOS}/${proto}"
    COMMENT "Generating ${stem}"
    VERBATIM)
  list(APPEND generated_sources ${outputs})
endforeach()

add_library(blackbox_am_protos STATIC ${generated_sources})
add_library(blackbox_am::protos ALIAS blackbox_am_protos)
set_target_properties(blackbox_am_protos PROPERTIES EXPORT_NAME protos)
target_compile_features(blackbox_am_protos PUBLIC cxx_std_20)
target_compile_options(blackbox_am_protos PRIVATE -w -O1)
target_include_directories(blackbox_am_protos SYSTEM PUBLIC
  "$<BUILD_INTERFACE:${generated_dir}>"
  "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/blackbox_am_protos>")
target_link_libraries(blackbox_am_protos PUBLIC gRPC::grpc++ protobuf::libprotobuf)
