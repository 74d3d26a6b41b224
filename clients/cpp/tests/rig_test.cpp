// Rigs over servers that are killed, slow measurements, and measurements that fail.

#include <atomic>
#include <thread>

#include "blackbox_am/blackbox_am.hpp"
#include "harness.hpp"
#include "server_process.hpp"

namespace bam = blackbox_am;

namespace {

using std::chrono::milliseconds;

harness::Server& server() {
  static harness::Server running;
  return running;
}

bam::Study study_of(const bam::Client& client, const std::string& id, std::int32_t queries,
                    double population) {
  bam::StudySpec spec;
  spec.targets = {"neuron:0"};
  spec.space = bam::Space::normal(6);
  spec.optimizer = "cma";
  spec.parameters = {{"population", population}};
  spec.queries_per_target = queries;
  spec.seed = 11;
  return client.create(spec, {.study_id = id});
}

double sphere(const bam::Candidate& candidate) {
  double sum = 0.0;
  for (const float x : candidate.latent.as<float>()) sum -= static_cast<double>(x) * x;
  return sum;
}

}  // namespace

TEST(a_loop_and_a_watch_go_on_over_a_killed_server) {
  const bam::Client client = bam::connect(server().address(), {.client_id = "survivor"});
  const bam::Study study = study_of(client, "survives", 200, 20);
  std::vector<std::int64_t> sequences;
  bool resumed = false;
  std::jthread watching([&] {
    study.watch([&](const bam::Event& event) {
      sequences.push_back(event.sequence);
      resumed = resumed || event.get_if<bam::Resumed>() != nullptr;
    });
  });
  std::atomic<int> measured = 0;
  std::jthread killer([&] {
    while (measured < 60) std::this_thread::sleep_for(milliseconds(5));
    server().kill();
    server().start();
  });
  const auto result = study.ask_tell([&](const bam::Candidate& candidate) {
    ++measured;
    std::this_thread::sleep_for(milliseconds(5));
    return sphere(candidate);
  });
  watching.join();
  killer.join();
  CHECK(result.done);
  CHECK_EQUAL(study.progress().accounting.search_rows, 200);
  CHECK(resumed);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    CHECK_EQUAL(sequences[i], static_cast<std::int64_t>(i) + 1);
  }
  const bam::Study calm = study_of(client, "calm", 200, 20);
  calm.ask_tell(sphere);
  CHECK_EQUAL(study.best().at(0).score, calm.best().at(0).score);  // bit for bit
}

TEST(a_server_that_stays_away) {
  harness::Server own;
  const bam::Client client = bam::connect(own.address());
  const bam::Study study = study_of(client, "away", 40, 20);
  own.kill();
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS(bam::ServerUnavailable, "cannot reach", study.ask({.reconnect = bam::Seconds(1.5)}));
  bam::Watch events = study.watch({.reconnect = bam::Seconds(1.0)});
  CHECK_THROWS(bam::ServerUnavailable, "cannot reach", events.next());
  CHECK(!events.next());
  const bam::Seconds took = std::chrono::steady_clock::now() - start;
  CHECK(took.count() > 0.5 && took.count() < 20.0);
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(300));
    source.request_stop();
  });
  bam::AskTellOptions loop;
  loop.ask.stop = source.get_token();
  CHECK(!study.ask_tell(sphere, loop).done);  // stopped while it waits for the server
}

TEST(what_was_measured_before_a_throw_is_sent) {
  const bam::Client client = bam::connect(server().address());
  const bam::Study study = study_of(client, "throws", 40, 20);
  int number = 0;
  CHECK_THROWS(std::domain_error, "the rig fell over",
               study.ask_tell([&](const bam::Candidate& candidate) {
                 if (++number > 7) throw std::domain_error("the rig fell over");
                 return sphere(candidate);
               }));
  std::int64_t told = 0;
  study.watch(
      [&](const bam::Event& event) {
        if (const auto* rows = event.get_if<bam::RowsTold>()) told += rows->rows;
      },
      {.timeout = bam::Seconds(0.5)});
  CHECK_EQUAL(told, 7);
  study.cancel();
}

TEST(a_stopped_loop_loses_nothing) {
  const bam::Client client = bam::connect(server().address(), {.client_id = "stopped"});
  const bam::Study study = study_of(client, "stopped", 40, 20);
  std::stop_source source;
  bam::AskTellOptions loop;
  loop.ask.stop = source.get_token();
  int number = 0;
  const auto measure = [&](const bam::Candidate& candidate) {
    if (++number == 25) source.request_stop();
    return sphere(candidate);
  };
  const auto first = study.ask_tell(measure, loop);
  CHECK(!first.done);
  CHECK_EQUAL(first.measured, 25);
  CHECK_EQUAL(first.accepted, 25);
  // A program that starts again under the name gets the rest back at once.
  const bam::Client again = bam::connect(server().address(), {.client_id = "stopped"});
  const auto rest = again.study("stopped").ask_tell(sphere);
  CHECK(rest.done);
  CHECK_EQUAL(rest.measured, 15);
}

TEST(leases_are_renewed_and_rows_sent_while_the_loop_measures) {
  const bam::Client client = bam::connect(server().address(), {.client_id = "slow"});
  const bam::Client other = bam::connect(server().address(), {.client_id = "other"});
  const bam::Study study = study_of(client, "slow", 10, 10);
  bam::AskTellOptions loop;
  loop.ask.lease = bam::Seconds(1.0);
  loop.tell_every = bam::Seconds(0.3);
  std::size_t stolen = 0;
  std::int64_t events = 0;
  const auto result = study.ask_tell(
      [&](const bam::Candidate& candidate) {
        std::this_thread::sleep_for(milliseconds(300));
        stolen += other.study("slow").ask({.wait = bam::Seconds(0.0)}).size();
        return sphere(candidate);
      },
      loop);
  study.watch([&](const bam::Event& event) { events += event.kind() == "rows_told" ? 1 : 0; });
  CHECK_EQUAL(stolen, std::size_t{0});
  CHECK(result.done);
  CHECK(events >= 3);
}

TEST(two_rigs_share_the_candidates) {
  const bam::Client client = bam::connect(server().address(), {.client_id = "rig-a"});
  const bam::Study study = study_of(client, "shared", 100, 20);
  std::atomic<std::int64_t> shown = 0;
  const auto rig = [&](const std::string& name) {
    const bam::Client own = bam::connect(server().address(), {.client_id = name});
    bam::AskTellOptions loop;
    loop.ask.max_candidates = 4;
    own.study("shared").ask_tell(
        [&](const bam::Candidate& candidate) {
          ++shown;
          return sphere(candidate);
        },
        loop);
  };
  {
    std::jthread first(rig, "rig-b");
    std::jthread second(rig, "rig-c");
  }
  CHECK_EQUAL(shown.load(), 100);
  CHECK_EQUAL(study.progress().accounting.search_rows, 100);
}
