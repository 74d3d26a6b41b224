// What the client can carry: `bench SERVER D SECONDS` prints one line of JSON. The conformance
// protocol says what is measured.

#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "blackbox_am/blackbox_am.hpp"

namespace {

namespace bam = blackbox_am;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The first number of each candidate.
std::vector<double> scores_of(const bam::Candidates& candidates) {
  const auto numbers = candidates.latents.as<float>();
  const std::size_t dimension = candidates.empty() ? 1 : numbers.size() / candidates.size();
  std::vector<double> scores;
  scores.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) scores.push_back(numbers[i * dimension]);
  return scores;
}

std::size_t ask_and_tell(const bam::Study& study) {
  const bam::Candidates candidates = study.ask();
  study.tell(candidates, scores_of(candidates));
  return candidates.size();
}

double candidates_per_second(const bam::Client& client, int dimension, double seconds) {
  bam::StudySpec spec;
  spec.targets = {"neuron:0"};
  spec.space = bam::Space::box(dimension, -1.0, 1.0);
  spec.optimizer = "random";
  spec.parameters = {{"population", 1000.0}};
  spec.queries_per_target = 1'000'000'000;
  const bam::Study study =
      client.create(spec, {.study_id = "bench-" + std::to_string(std::random_device{}())});
  ask_and_tell(study);
  const auto start = Clock::now();
  std::size_t told = 0;
  do {
    told += ask_and_tell(study);
  } while (seconds_since(start) < seconds);
  const double rate = static_cast<double>(told) / seconds_since(start);
  study.cancel();
  return rate;
}

double megabytes_per_second(const bam::Client& client, double seconds) {
  const std::vector<float> grey(std::size_t{3} * 1024 * 1024, 0.5F);
  const bam::Tensor stimuli = bam::Tensor::of<float>({1, 3, 1024, 1024}, grey);
  const std::vector<std::string> units{"scores:0", "scores:1"};
  static_cast<void>(client.observe("bench", stimuli, units));
  const auto start = Clock::now();
  double megabytes = 0.0;
  do {
    static_cast<void>(client.observe("bench", stimuli, units));
    megabytes += static_cast<double>(stimuli.bytes().size()) / 1e6;
  } while (seconds_since(start) < seconds);
  return megabytes / seconds_since(start);
}

}  // namespace

int main(int count, char** values) {
  if (count != 4) {
    std::cerr << "usage: bench SERVER D SECONDS\n";
    return 2;
  }
  try {
    const bam::Client client = bam::connect(values[1]);
    const double seconds = std::stod(values[3]);
    const double candidates = candidates_per_second(client, std::stoi(values[2]), seconds);
    const double megabytes = megabytes_per_second(client, seconds);
    std::cout << "{\"ask_tell_candidates_per_s\": " << candidates
              << ", \"observe_stream_mb_per_s\": " << megabytes << "}\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << '\n';
    return 1;
  }
}
