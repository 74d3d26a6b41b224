// Prints what happens to a study, also over restarts of the server, until the study ends.
//
//     watch [SERVER [STUDY [AFTER_SEQUENCE]]]
//
// Ctrl-C ends the program, which says how to continue without a gap. BLACKBOX_AM_TOKEN is sent to a
// server that asks for a token.

#include <cstdlib>
#include <iostream>
#include <string>

#include "blackbox_am/blackbox_am.hpp"

namespace {

namespace bam = blackbox_am;

void show(const bam::Event& event) {
  std::cout << event.sequence << ' ' << (event.kind().empty() ? "unknown" : event.kind());
  if (const auto* closed = event.get_if<bam::GenerationClosed>()) {
    std::cout << " generation " << closed->generation << ": best so far";
    for (const double score : closed->best_so_far) std::cout << ' ' << score;
    std::cout << " after " << closed->total_rows << " rows";
  } else if (const auto* changed = event.get_if<bam::StateChanged>()) {
    std::cout << ' ' << bam::name_of(changed->state);
    if (!changed->message.empty()) std::cout << ": " << changed->message;
  } else if (const auto* resumed = event.get_if<bam::Resumed>()) {
    std::cout << " at generation " << resumed->generation;
  }
  std::cout << std::endl;
}

int run(const std::string& server, const std::string& name, std::int64_t after) {
  const bam::Interrupt interrupt;
  bam::ConnectOptions options;
  if (const char* token = std::getenv("BLACKBOX_AM_TOKEN")) options.token = token;
  const bam::Client client = bam::connect(server, options);
  const bam::Study study = client.study(name);
  bam::Watch events = study.watch({.after_sequence = after, .stop = interrupt.token()});
  for (const bam::Event& event : events) {
    show(event);
    after = event.sequence;
  }
  if (!events.ended()) {
    std::cout << "stopped; continue with: watch " << server << ' ' << name << ' ' << after << '\n';
    return 0;
  }
  const bam::StudyProgress progress = study.progress();
  std::cout << "the study has ended: " << bam::name_of(progress.state) << ' '
            << bam::name_of(progress.stop_reason) << '\n';
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run(count > 1 ? values[1] : "localhost:50051", count > 2 ? values[2] : "cpp-neuron",
               count > 3 ? std::stoll(values[3]) : 0);
  } catch (const std::exception& error) {
    std::cerr << "watch: " << error.what() << '\n';
    return 1;
  }
}
