// Connections that cannot be: each says what is wrong.

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdlib>

#include "blackbox_am/blackbox_am.hpp"
#include "blackbox_am/v1/catalog_service.grpc.pb.h"
#include "harness.hpp"
#include "server_process.hpp"

namespace bam = blackbox_am;

namespace {

/// A server that answers GetServerInfo as a later version would.
class LaterServer final : public bam::v1::CatalogService::Service {
 public:
  LaterServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  grpc::Status GetServerInfo(grpc::ServerContext*, const bam::v1::GetServerInfoRequest*,
                             bam::v1::GetServerInfoResponse* response) override {
    response->set_api_version("7.3");
    return grpc::Status::OK;
  }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

struct Certificate {
  std::string certificate;
  std::string key;
};

Certificate certificate_in(const harness::Folder& folder) {
  Certificate made{folder.path() + "/cert.pem", folder.path() + "/key.pem"};
  const std::string command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
                              "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
                              made.key + " -out " + made.certificate + " 2>/dev/null";
  if (std::system(command.c_str()) != 0) throw harness::Failure("openssl failed");
  return made;
}

bam::ConnectOptions with_tls(bam::Tls tls) {
  bam::ConnectOptions options;
  options.tls = std::move(tls);
  options.timeout = bam::Seconds(5.0);
  return options;
}

}  // namespace

TEST(no_server) {
  CHECK_THROWS(bam::ServerUnavailable, "cannot reach 127.0.0.1:1", bam::connect("127.0.0.1:1"));
  CHECK_THROWS(bam::ServerUnavailable, "cannot reach no-such-host.invalid:50051",
               bam::connect("no-such-host.invalid:50051", {.timeout = bam::Seconds(5.0)}));
}

TEST(a_server_of_another_version) {
  const LaterServer server;
  CHECK_THROWS(bam::Unsupported, "speaks version 7.3 of the API, this client version",
               bam::connect(server.address()));
}

TEST(a_server_without_this_api) {
  bam::OracleDescription description;
  description.layers = {bam::Layer::vector("out", 1)};
  const auto server = bam::serve_oracle(description, [](const bam::Observation&) {});
  CHECK_THROWS(bam::Unsupported, "does not know this call", bam::connect(server.address()));
}

TEST(a_token_is_not_sent_unencrypted_to_others) {
  for (const char* target : {"10.1.2.3:50051", "example.org:50051", "127.example.org:1",
                             "[2001:db8::1]:1", "ipv4:10.1.2.3:1", "dns:///example.org:1"}) {
    const auto error = CHECK_THROWS(bam::InvalidInput, "without encryption",
                                    bam::connect(target, {.token = "secret"}));
    CHECK_EQUAL(error.field(), "token");
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
  for (const char* target : {"127.0.0.1:1", "localhost:1", "[::1]:1", "ipv4:127.0.0.1:1"}) {
    CHECK_THROWS(bam::ServerUnavailable, "", bam::connect(target, {.token = "secret"}));
  }
  CHECK_THROWS(bam::InvalidInput, "without spaces", bam::connect("localhost:1", {.token = "a b"}));
}

TEST(options_that_make_no_sense) {
  const harness::Folder folder;
  const std::string text = folder.write("text.pem", "no certificate");
  CHECK_THROWS(bam::InvalidInput, "expected host:port", bam::connect(""));
  CHECK_THROWS(bam::InvalidInput, "seconds above 0",
               bam::connect("localhost:1", {.timeout = bam::Seconds(0.0)}));
  CHECK_THROWS(bam::InvalidInput, "cannot read the file /nowhere/ca.pem",
               bam::connect("localhost:1", with_tls({.ca_file = "/nowhere/ca.pem"})));
  CHECK_THROWS(bam::InvalidInput, "found none in",
               bam::connect("localhost:1", with_tls({.ca_file = text})));
  CHECK_THROWS(bam::InvalidInput, "go together",
               bam::connect("localhost:1", with_tls({.certificate_file = text})));
  CHECK_THROWS(bam::InvalidInput, "cannot read the file",
               bam::connect("localhost:1", with_tls({.ca_file = folder.path()})));
}

TEST(a_server_without_encryption) {
  const harness::Folder folder;
  const harness::Server server;
  const auto made = certificate_in(folder);
  CHECK_THROWS(bam::ServerUnavailable, "does not speak TLS",
               bam::connect(server.address(), with_tls({.ca_file = made.certificate})));
}

TEST(a_server_with_encryption) {
  const harness::Folder folder;
  const auto made = certificate_in(folder);
  const harness::Server server("", {"--tls-certificate", made.certificate, "--tls-key", made.key});
  const auto client = bam::connect(server.address(), with_tls({.ca_file = made.certificate}));
  CHECK_EQUAL(client.server_info().api_version, bam::api_version);
  CHECK_THROWS(bam::ServerUnavailable, "expects TLS", bam::connect(server.address()));
  CHECK_THROWS(bam::ServerUnavailable, "is not trusted",
               bam::connect(server.address(), with_tls({})));
  CHECK_THROWS(bam::ServerUnavailable, "is for another name",
               bam::connect(server.address(), with_tls({.ca_file = made.certificate,
                                                        .server_name = "elsewhere.example"})));
}

TEST(an_oracle_with_encryption) {
  const harness::Folder folder;
  const auto made = certificate_in(folder);
  bam::OracleDescription description;
  description.layers = {bam::Layer::vector("out", 1)};
  const auto server = bam::serve_oracle(
      description, [](const bam::Observation&) {},
      {.tls = bam::ServerTls{.certificate_file = made.certificate, .key_file = made.key}});
  // It is reached, and is no server of studies.
  CHECK_THROWS(bam::Unsupported, "does not know this call",
               bam::connect(server.address(), with_tls({.ca_file = made.certificate})));
}
