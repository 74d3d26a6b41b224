// A model of this process as an oracle that studies on any server search: three units, each of which
// prefers one colour.
//
//     oracle [ADDRESS]
//
// The configuration of the server names it:
//
//     [oracles.colours]
//     kind = "remote"
//     target = "localhost:50061"
//
// Ctrl-C ends the program: calls in progress are answered first.

#include <iostream>
#include <string>

#include "blackbox_am/blackbox_am.hpp"

namespace {

namespace bam = blackbox_am;

constexpr std::size_t channels = 3;
constexpr std::size_t pixels = 8 * 8;

double mean_of(std::span<const float> channel) {
  double sum = 0.0;
  for (const float value : channel) sum += value;
  return sum / static_cast<double>(channel.size());
}

/// Unit j: the mean of channel j less the mean of the others.
void observe(const bam::Observation& call) {
  for (std::size_t row = 0; row < call.rows; ++row) {
    const auto image = call.stimulus(row);
    for (std::size_t j = 0; j < call.units.size(); ++j) {
      const auto unit = static_cast<std::size_t>(*call.units[j].index);
      double score = 0.0;
      for (std::size_t channel = 0; channel < channels; ++channel) {
        const double mean = mean_of(image.subspan(channel * pixels, pixels));
        score += channel == unit ? mean : -mean / (channels - 1);
      }
      call.at(row, j) = static_cast<float>(score);
    }
  }
}

int run(const std::string& address) {
  const bam::Interrupt interrupt;
  bam::OracleDescription description;
  description.kind = "example";
  description.stimulus_shape = {channels, 8, 8};
  description.layers = {bam::Layer::vector("scores", channels)};
  description.layers.front().labels = {"red", "green", "blue"};
  description.batch_size = 64;
  description.fingerprint = "colours-1";
  bam::OracleServer server =
      bam::serve_oracle(description, observe, {.name = "colours", .address = address});
  std::cout << "serving at " << server.address() << std::endl;
  server.wait(interrupt.token());
  std::cout << "stopped after " << server.calls() << " calls with " << server.rows() << " rows\n";
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run(count > 1 ? values[1] : "localhost:50061");
  } catch (const std::exception& error) {
    std::cerr << "oracle: " << error.what() << '\n';
    return 1;
  }
}
