// The examples as a user runs them: Ctrl-C ends each cleanly, and nothing is lost.

#include <csignal>

#include "blackbox_am/blackbox_am.hpp"
#include "harness.hpp"
#include "server_process.hpp"

namespace bam = blackbox_am;

namespace {

const std::string folder = EXAMPLES;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(ask_tell_is_interrupted_and_continued) {
  const harness::Server server;
  const harness::Folder output;
  const std::vector<std::string> command{folder + "/ask_tell", server.address(), "rig", "3000",
                                         "2000"};
  const bam::Client client = bam::connect(server.address());
  harness::Program first(command, output.path() + "/first");
  while (first.running() && client.studies().empty()) {
  }
  const bam::Study study = client.study("rig");
  for (const bam::Event& event : study.watch()) {
    const auto* closed = event.get_if<bam::GenerationClosed>();
    if (closed != nullptr && closed->generation == 1) break;
  }
  first.signal(SIGINT);
  CHECK_EQUAL(first.wait(), 0);
  CHECK(contains(first.printed(), "stopped; start the program again"));
  const auto rows = study.progress().accounting.search_rows;
  CHECK(rows >= 400 && rows < 3000);
  harness::Program killed(command, output.path() + "/killed");
  for (const bam::Event& event : study.watch({.after_sequence = study.progress().sequence})) {
    if (event.get_if<bam::GenerationClosed>() != nullptr) break;
  }
  killed.signal(SIGKILL);
  CHECK_EQUAL(killed.wait(), -SIGKILL);
  harness::Program last(command, output.path() + "/last");
  CHECK_EQUAL(last.wait(50.0), 0);
  CHECK(contains(last.printed(), "state SUCCEEDED"));
  CHECK(contains(last.printed(), "jitter"));
  CHECK_EQUAL(study.progress().accounting.search_rows, 3000);
}

TEST(watch_is_interrupted) {
  const harness::Server server;
  const harness::Folder output;
  bam::StudySpec spec;
  spec.targets = {"neuron:0"};
  spec.space = bam::Space::normal(2);
  spec.queries_per_target = 100;
  const bam::Study study = bam::connect(server.address()).create(spec, {.study_id = "watched"});
  const std::vector<std::string> command{folder + "/watch", server.address(), "watched"};
  harness::Program first(command, output.path() + "/first");
  first.await("1 created");
  first.signal(SIGINT);
  CHECK_EQUAL(first.wait(), 0);
  CHECK(contains(first.printed(), "stopped; continue with: watch"));
  harness::Program second(command, output.path() + "/second");
  second.await("1 created");
  study.cancel();
  CHECK_EQUAL(second.wait(), 0);
  CHECK(contains(second.printed(), "the study has ended: CANCELLED USER"));
}

TEST(oracle_is_interrupted) {
  const harness::Folder output;
  harness::Program oracle({folder + "/oracle", "127.0.0.1:0"}, output.path() + "/oracle");
  oracle.await("serving at 127.0.0.1:");
  oracle.signal(SIGTERM);
  CHECK_EQUAL(oracle.wait(), 0);
  CHECK(contains(oracle.printed(), "stopped after 0 calls"));
}

TEST(without_a_server_they_say_so) {
  const harness::Folder output;
  for (const std::string name : {"ask_tell", "watch"}) {
    harness::Program program({folder + "/" + name, "127.0.0.1:1"}, output.path() + "/" + name);
    CHECK_EQUAL(program.wait(), 1);
    CHECK(contains(program.printed(), name + ": cannot reach 127.0.0.1:1"));
  }
}
