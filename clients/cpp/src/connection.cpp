#include "connection.hpp"

#include <grpc/support/time.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>


#include "pem.hpp"
#include "status.hpp"

namespace blackbox_am {

namespace {

/// Whether an address is one of this machine, so that a proxy and encryption are pointless.
bool is_loopback(const std::string& target) {
  std::string address = target;
  for (const std::string scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (address.starts_with(scheme)) {
      address.erase(0, scheme.size());
      break;
    }
  }
  if (address.starts_with("unix:")) return true;
  if (address.find_first_of("/@,#?") != std::string::npos) return false;  // more than one host
  std::string host = address;
  if (address.starts_with("[")) {
    host = address.substr(1, address.find(']') - 1);
  } else if (const auto colon = address.rfind(':'); colon != std::string::npos) {
    host = address.substr(0, colon);
  }
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && numeric);
}

std::string authorization_of(const std::string& target, const ConnectOptions& options) {
  if (options.token.empty()) return "";
  if (options.token.find_first_of(" \t\r\n") != std::string::npos) {
    throw InvalidInput("token: expected a word without spaces and line ends", {.field = "token"});
  }
  if (!options.tls && !is_loopback(target)) {
    throw InvalidInput("a token is sent without encryption only to an address of this machine, "
                       "and " +
                           target + " is another one; set tls",
                       {.field = "token"});
  }
  return "Bearer " + options.token;
}

std::shared_ptr<grpc::ChannelCredentials> credentials_of(const Tls& tls) {
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    throw InvalidInput("a client's certificate and its key go together; give both "
                       "tls.certificate_file and tls.key_file",
                       {.field = tls.key_file.empty() ? "tls.key_file" : "tls.certificate_file"});
  }
  grpc::SslCredentialsOptions options;
  if (!tls.ca_file.empty()) options.pem_root_certs = read_certificates(tls.ca_file, "tls.ca_file");
  if (!tls.certificate_file.empty()) {
    options.pem_cert_chain = read_certificates(tls.certificate_file, "tls.certificate_file");
    options.pem_private_key = read_key(tls.key_file, "tls.key_file");
  }
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> channel_to(const std::string& target,
                                          const ConnectOptions& options) {
  if (target.empty()) {
    throw InvalidInput("target: expected host:port, got nothing", {.field = "target"});
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt("grpc.initial_reconnect_backoff_ms", 200);
  arguments.SetInt("grpc.min_reconnect_backoff_ms", 2000);  // the time that one attempt may take
  arguments.SetInt("grpc.max_reconnect_backoff_ms", 1000);
  arguments.SetInt("grpc.keepalive_time_ms", 30'000);
  arguments.SetInt("grpc.keepalive_timeout_ms", 10'000);
  if (is_loopback(target)) arguments.SetInt("grpc.enable_http_proxy", 0);
  if (!options.tls) {
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  }
  if (!options.tls->server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls->server_name);
  }
  return grpc::CreateCustomChannel(target, credentials_of(*options.tls), arguments);
}

gpr_timespec deadline_after(Seconds seconds) {
  constexpr double longest = 1e9;
  if (!(seconds.count() < longest)) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const auto nanos = static_cast<std::int64_t>(seconds.count() * 1e9);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(nanos, GPR_TIMESPAN));
}

constexpr Seconds connect_wait{0.25};

}  // namespace

Connection::Connection(std::string address, const ConnectOptions& options)
    : target(std::move(address)),
      timeout(options.timeout),
      authorization(authorization_of(target, options)),
      name(options.client_id) {
  if (!(options.timeout.count() > 0)) {
    throw InvalidInput("timeout: expected seconds above 0, got " +
                           std::to_string(options.timeout.count()),
                       {.field = "timeout"});
  }
  channel = channel_to(target, options);
  studies = v1::StudyService::NewStub(channel);
  oracles = v1::OracleService::NewStub(channel);
  catalog = v1::CatalogService::NewStub(channel);
}

void Connection::connect_again() const {
  channel->WaitForConnected(deadline_after(connect_wait));
}

Call::Call(const Connection& connection, std::optional<Seconds> timeout, std::stop_token stop)
    : connection_(connection), stop_(std::move(stop)), on_stop_(stop_, [this] {
        context_.TryCancel();
      }) {
  if (timeout) context_.set_deadline(deadline_after(*timeout));
  if (!connection.authorization.empty()) {
    context_.AddMetadata("authorization", connection.authorization);
  }
}

void Call::check(const grpc::Status& status) const {
  if (status.ok()) return;
  if (stop_.stop_requested()) throw Stopped();
  raise(status, connection_.target);
}

}  // namespace blackbox_am
