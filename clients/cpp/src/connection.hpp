/// The channel to one server, and the ways of making a call.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/client.hpp"
#include "blackbox_am/v1/catalog_service.grpc.pb.h"
#include "blackbox_am/v1/oracle_service.grpc.pb.h"
#include "blackbox_am/v1/study_service.grpc.pb.h"
#include "client_name.hpp"
#include "reconnecting.hpp"

namespace blackbox_am {

/// A channel and its stubs. Safe to use from any thread.
class Connection {
 public:
  Connection(std::string address, const ConnectOptions& options);

  const std::string target;
  const Seconds timeout;
  std::string authorization;  // the metadata of each call; empty: none
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::StudyService::Stub> studies;
  std::unique_ptr<v1::OracleService::Stub> oracles;
  std::unique_ptr<v1::CatalogService::Stub> catalog;
  ClientName name;

  /// One unary call. Throws the error that it ends with.
  template <class Response, class Stub, class Method, class Request>
  Response call(Stub& stub, Method method, const Request& request,
                const CallOptions& options) const;

  /// One unary call, repeated while the server is away; only for calls that may be repeated.
  template <class Response, class Stub, class Method, class Request>
  Response persist(Stub& stub, Method method, const Request& request, Seconds reconnect,
                   std::stop_token stop) const;

  /// Waits up to 0.25 s for the channel to connect. While a thread has no call and does not wait
  /// here, gRPC makes progress with a new connection only every 5 s.
  void connect_again() const;
};

/// The context of one call: its time limit, its metadata, and its stop token.
class Call {
 public:
  /// `timeout`: none for a call without a limit.
  Call(const Connection& connection, std::optional<Seconds> timeout, std::stop_token stop);

  [[nodiscard]] grpc::ClientContext& context() noexcept { return context_; }
  /// Throws the error of a status that is not OK, and Stopped if the stop token ended the call.
  void check(const grpc::Status& status) const;

 private:
  const Connection& connection_;
  grpc::ClientContext context_;
  std::stop_token stop_;
  std::stop_callback<std::function<void()>> on_stop_;
};

template <class Response, class Stub, class Method, class Request>
Response Connection::call(Stub& stub, Method method, const Request& request,
                          const CallOptions& options) const {
  Call call(*this, options.timeout.value_or(timeout), options.stop);
  Response response;
  call.check(std::invoke(method, *stub, &call.context(), request, &response));
  return response;
}

template <class Response, class Stub, class Method, class Request>
Response Connection::persist(Stub& stub, Method method, const Request& request, Seconds reconnect,
                             std::stop_token stop) const {
  Reconnecting attempts(reconnect, stop);
  while (true) {
    try {
      return call<Response>(stub, method, request, {.timeout = {}, .stop = stop});
    } catch (const ServerUnavailable& error) {
      attempts.failed(error);
      connect_again();
    }
  }
}

}  // namespace blackbox_am
