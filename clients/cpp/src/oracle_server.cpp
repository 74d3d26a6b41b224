#include "blackbox_am/oracle_server.hpp"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "blackbox_am/errors.hpp"
#include "oracle_service.hpp"
#include "pem.hpp"
#include "reconnecting.hpp"

namespace blackbox_am {

namespace {

std::shared_ptr<grpc::ServerCredentials> credentials_of(const ServeOptions& options) {
  if (!options.tls) return grpc::InsecureServerCredentials();
  const bool clients = !options.tls->client_ca_file.empty();
  grpc::SslServerCredentialsOptions tls(
      clients ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
              : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  tls.pem_key_cert_pairs.push_back(
      {read_key(options.tls->key_file, "tls.key_file"),
       read_certificates(options.tls->certificate_file, "tls.certificate_file")});
  if (clients) {
    tls.pem_root_certs = read_certificates(options.tls->client_ca_file, "tls.client_ca_file");
  }
  return grpc::SslServerCredentials(tls);
}

}  // namespace

class OracleServer::State {
 public:
  State(const OracleDescription& description, Observe observe, const ServeOptions& options)
      : observer_(description, std::move(observe), options.concurrent),
        service_(observer_, options.name) {
    grpc::EnableDefaultHealthCheckService(true);  // SERVING from the start
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(options.address, credentials_of(options), &port);
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(options.max_message_bytes);
    builder.SetMaxSendMessageSize(-1);
    builder.AddChannelArgument("grpc.so_reuseport", 0);  // two servers never share a port unseen
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      throw ServerUnavailable("cannot listen at " + options.address +
                              "; check that the address is one of this machine and that its port "
                              "is free");
    }
    if (grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService()) {
      health->SetServingStatus(v1::OracleService::service_full_name(), true);
    }
    address_ = options.address.substr(0, options.address.rfind(':') + 1) + std::to_string(port);
  }

  ~State() { shutdown(Seconds(5.0)); }

  void shutdown(Seconds grace) {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() +
                      std::chrono::duration_cast<std::chrono::milliseconds>(grace));
    server_->Wait();
    server_.reset();
  }

  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] const Observer& observer() const noexcept { return observer_; }

 private:
  Observer observer_;
  OracleServiceImpl service_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

OracleServer::OracleServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
OracleServer::OracleServer(OracleServer&&) noexcept = default;
OracleServer& OracleServer::operator=(OracleServer&&) noexcept = default;
OracleServer::~OracleServer() = default;

const std::string& OracleServer::address() const noexcept { return state_->address(); }
std::int64_t OracleServer::calls() const noexcept { return state_->observer().calls(); }
std::int64_t OracleServer::rows() const noexcept { return state_->observer().rows(); }
void OracleServer::shutdown(Seconds grace) { state_->shutdown(grace); }

void OracleServer::wait(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
  shutdown();
}

OracleServer serve_oracle(const OracleDescription& description, Observe observe,
                          const ServeOptions& options) {
  return OracleServer(
      std::make_unique<OracleServer::State>(description, std::move(observe), options));
}

}  // namespace blackbox_am
