// An oracle of this process, called directly and searched by a study of a real server.

#include <grpcpp/create_channel.h>

#include <thread>

#include "blackbox_am/blackbox_am.hpp"
#include "blackbox_am/v1/oracle_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "harness.hpp"
#include "messages_internal.hpp"
#include "server_process.hpp"
#include "status.hpp"

namespace bam = blackbox_am;

namespace {

bam::OracleDescription description() {
  bam::OracleDescription found;
  found.kind = "test";
  found.stimulus_shape = {3, 4, 4};
  found.layers = {bam::Layer::vector("out", 3)};
  found.batch_size = 2;
  found.fingerprint = "test-1";
  return found;
}

/// Unit j: number j of the stimulus.
void observe(const bam::Observation& call) {
  for (std::size_t row = 0; row < call.rows; ++row) {
    for (std::size_t j = 0; j < call.units.size(); ++j) {
      call.at(row, j) = call.stimulus(row)[static_cast<std::size_t>(*call.units[j].index)];
    }
  }
}

std::shared_ptr<grpc::Channel> channel_to(const std::string& address) {
  return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
}

/// Calls Observe. Throws the error.
bam::Tensor ask(const std::string& address, const bam::TensorView& stimuli,
                const std::vector<std::string>& units, const std::string& oracle = "") {
  const auto stub = bam::v1::OracleService::NewStub(channel_to(address));
  bam::v1::ObserveRequest request;
  request.set_oracle(oracle);
  request.mutable_units()->Assign(units.begin(), units.end());
  *request.mutable_stimuli() = bam::to_message(stimuli);
  bam::v1::ObserveResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub->Observe(&context, request, &response);
  if (!status.ok()) bam::raise(status, address);
  return bam::from_message(response.activations());
}

bam::Tensor some_stimuli() {
  std::vector<float> numbers(2 * 48);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i) / 100.0F;
  return bam::Tensor::of<float>({2, 3, 4, 4}, numbers);
}

}  // namespace

TEST(health) {
  const auto server = bam::serve_oracle(description(), observe);
  const auto stub = grpc::health::v1::Health::NewStub(channel_to(server.address()));
  for (const char* service : {"", "blackbox_am.v1.OracleService"}) {
    grpc::health::v1::HealthCheckRequest request;
    grpc::health::v1::HealthCheckResponse response;
    grpc::ClientContext context;
    request.set_service(service);
    CHECK(stub->Check(&context, request, &response).ok());
    CHECK_EQUAL(static_cast<int>(response.status()), 1);
  }
}

TEST(units_and_reductions) {
  const auto server = bam::serve_oracle(description(), observe, {.name = "mine"});
  const auto stimuli = some_stimuli();
  const auto found = ask(server.address(), stimuli, {"out:2", "out!sum", "out", "out!max"}, "mine");
  CHECK_EQUAL(bam::in_words(found.shape()), "(2, 4)");
  const auto row = found.row(0);
  CHECK_EQUAL(row.as<float>()[0], 0.02F);
  CHECK(std::abs(row.as<float>()[1] - 0.03F) < 1e-6F);
  CHECK(std::abs(row.as<float>()[2] - 0.01F) < 1e-6F);
  CHECK_EQUAL(row.as<float>()[3], 0.02F);
  CHECK_EQUAL(server.calls(), 1);
  CHECK_EQUAL(server.rows(), 2);
}

TEST(bad_requests) {
  const auto server = bam::serve_oracle(description(), observe);
  const auto stimuli = some_stimuli();
  const auto& address = server.address();
  CHECK_EQUAL(CHECK_THROWS(bam::UnknownUnit, "units 0 to 2, got 3",
                           ask(address, stimuli, {"out:0", "out:3"})).field(), "units[1]");
  CHECK_THROWS(bam::UnknownUnit, "no layer 'in'; known: out", ask(address, stimuli, {"in:0"}));
  CHECK_THROWS(bam::UnknownUnit, "has no positions", ask(address, stimuli, {"out:0@center"}));
  CHECK_THROWS(bam::InvalidInput, "is not a unit", ask(address, stimuli, {"out:"}));
  CHECK_THROWS(bam::NotFound, "no oracle 'other'; it has 'oracle'",
               ask(address, stimuli, {"out:0"}, "other"));
  CHECK_THROWS(bam::ShapeMismatch, "expected shape (N, 3, 4, 4), got (3, 4, 4)",
               ask(address, stimuli.row(0), {"out:0"}));
  CHECK_THROWS(bam::ShapeMismatch, "got int32",
               ask(address, bam::Tensor(bam::Dtype::int32, {1, 3, 4, 4}), {"out:0"}));
  CHECK_EQUAL(server.calls(), 0);
}

TEST(errors_of_the_function) {
  const auto failing = [](const std::function<void()>& fails) {
    return bam::serve_oracle(description(), [fails](const bam::Observation&) { fails(); });
  };
  const auto stimuli = some_stimuli();
  const auto typed = failing([] { throw bam::OutOfMemory("no memory"); });
  CHECK_THROWS(bam::OutOfMemory, "no memory", ask(typed.address(), stimuli, {"out:0"}));
  const auto plain = failing([] { throw std::runtime_error("fell over"); });
  CHECK_THROWS(bam::OracleFailed, "failed on 2 stimuli: fell over",
               ask(plain.address(), stimuli, {"out:0"}));
  const auto strange = failing([] { throw 3; });
  CHECK_THROWS(bam::OracleFailed, "failed on 2 stimuli", ask(strange.address(), stimuli, {"out:0"}));
  const auto silent = failing([] {});  // what is not filled in is a failed row
  CHECK(std::isnan(ask(silent.address(), stimuli, {"out:0"}).as<float>()[0]));
}

TEST(messages_above_the_limit) {
  const auto server =
      bam::serve_oracle(description(), observe, {.max_message_bytes = 100'000});
  CHECK_THROWS(bam::MessageTooLarge, "send fewer rows",
               ask(server.address(), bam::Tensor(bam::Dtype::uint8, {4000, 3, 4, 4}), {"out:0"}));
}

TEST(what_cannot_be_served) {
  const auto first = bam::serve_oracle(description(), observe);
  CHECK_THROWS(bam::ServerUnavailable, "cannot listen at",
               bam::serve_oracle(description(), observe, {.address = first.address()}));
  CHECK_THROWS(bam::InvalidInput, "expected a function", bam::serve_oracle(description(), {}));
  auto none = description();
  none.layers.clear();
  CHECK_THROWS(bam::InvalidInput, "at least one layer", bam::serve_oracle(none, observe));
  auto odd = description();
  odd.layers[0].shape = {2};
  CHECK_THROWS(bam::InvalidInput, "layer 'out'", bam::serve_oracle(odd, observe));
}

TEST(a_study_searches_it) {
  const auto oracle = bam::serve_oracle(description(), observe, {.name = "mine"});
  const harness::Server server("\n[oracles.mine]\nkind = \"remote\"\ntarget = \"" +
                               oracle.address() + "\"\n");
  const bam::Client client = bam::connect(server.address());
  CHECK_EQUAL(client.describe_oracle("mine").stimulus_shape.size(), std::size_t{3});
  CHECK_EQUAL(client.units("mine").size(), std::size_t{3});
  CHECK_EQUAL(client.oracles().at(0).name, "mine");
  bam::StudySpec spec;
  spec.targets = {"out:0", "out:2"};
  spec.oracle = "mine";
  spec.generator = "tiny";
  spec.queries_per_target = 60;
  const bam::Study study = client.create(spec);
  const auto progress = study.wait({.timeout = bam::Seconds(60.0)});
  CHECK_EQUAL(bam::name_of(progress.state), "SUCCEEDED");
  const auto best = study.best({.stimuli = true, .dtype = bam::Dtype::float32, .targets = {1}});
  CHECK_EQUAL(best.size(), std::size_t{1});
  CHECK(std::abs(best[0].score - best[0].stimulus.as<float>()[2]) < 1e-6);
  const auto observed = client.observe("mine", some_stimuli(), {"out:1"});
  CHECK_EQUAL(observed.as<float>()[0], 0.01F);
}
