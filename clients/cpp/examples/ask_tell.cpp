// A rig that shows one stimulus a millisecond and measures one neuron.
//
//     ask_tell [SERVER [STUDY [QUERIES [RATE_HZ]]]]
//
// The neuron is simulated: it prefers one direction of a space of 32 dimensions. Ctrl-C ends the
// program cleanly: what was measured is sent first. Started again, the program continues the study.
// BLACKBOX_AM_TOKEN is sent to a server that asks for a token.

#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <string>

#include "blackbox_am/blackbox_am.hpp"
#include "ticker.hpp"

namespace {

namespace bam = blackbox_am;

constexpr int dimension = 32;

/// The response of the simulated neuron, in spikes a second.
double response(std::span<const float> stimulus) {
  double drive = 0.0;
  double energy = 0.0;
  for (std::size_t i = 0; i < stimulus.size(); ++i) {
    drive += std::sin(0.7 * static_cast<double>(i)) * stimulus[i];
    energy += static_cast<double>(stimulus[i]) * stimulus[i];
  }
  return 50.0 * std::exp(0.2 * drive - 0.05 * energy);
}

struct Arguments {
  std::string server = "localhost:50051";
  std::string study = "cpp-neuron";
  int queries = 3000;
  double rate_hz = 1000.0;
};

bam::Study study_of(const bam::Client& client, const Arguments& given) {
  bam::StudySpec spec;
  spec.targets = {"neuron:0"};
  spec.space = bam::Space::normal(dimension);
  spec.optimizer = "cma";
  spec.parameters = {{"population", 200.0}};
  spec.queries_per_target = given.queries;
  spec.seed = 1;
  return client.create(spec, {.study_id = given.study});
}

void report(const bam::AskTellResult& result, const Ticker::Statistics& ticks) {
  std::cout << std::fixed << std::setprecision(1) << result.measured << " measurements, "
            << result.accepted << " of them new; state " << bam::name_of(result.state) << '\n'
            << "rate within a batch: " << ticks.rate_hz << " Hz; jitter (standard deviation) "
            << ticks.jitter_us << " us, largest " << ticks.largest_us << " us; " << ticks.late
            << " of " << ticks.ticks << " ticks were over half a period late\n";
}

int run(const Arguments& given) {
  const bam::Interrupt interrupt;
  bam::ConnectOptions options;
  options.client_id = "cpp-rig";
  if (const char* token = std::getenv("BLACKBOX_AM_TOKEN")) options.token = token;
  const bam::Client client = bam::connect(given.server, options);
  const bam::Study study = study_of(client, given);
  Ticker ticker(given.rate_hz);
  bam::AskTellOptions loop;
  loop.ask.stop = interrupt.token();
  loop.on_candidates = [&](const bam::Candidates&) { ticker.restart(); };
  const auto measure = [&](const bam::Candidate& candidate) {
    ticker.wait();  // here a rig shows the stimulus
    return response(candidate.latent.as<float>());
  };
  const bam::AskTellResult result = study.ask_tell(measure, loop);
  report(result, ticker.statistics());
  for (const bam::Best& best : study.best()) {
    std::cout << "best response: " << best.score << " spikes/s in generation " << best.generation
              << '\n';
  }
  if (!result.done) std::cout << "stopped; start the program again to continue\n";
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    Arguments given;
    if (count > 1) given.server = values[1];
    if (count > 2) given.study = values[2];
    if (count > 3) given.queries = std::stoi(values[3]);
    if (count > 4) given.rate_hz = std::stod(values[4]);
    return run(given);
  } catch (const std::exception& error) {
    std::cerr << "ask_tell: " << error.what() << '\n';
    return 1;
  }
}
