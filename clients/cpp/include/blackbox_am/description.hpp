/// What an oracle or a generator is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "blackbox_am/tensor.hpp"

namespace blackbox_am {

/// What an oracle can answer. The numbers are those of the wire.
enum class Capability { none = 0, scores, units, maps, gradients, intervention };

/// `SCORES`; `UNKNOWN` for a number without a name.
[[nodiscard]] std::string_view name_of(Capability capability) noexcept;

struct Layer {
  /// Dotted name.
  std::string name{};
  /// `conv`, `linear`, `tokens`, `scores`.
  std::string kind{};
  /// Shape of its activation for one stimulus.
  Shape shape{};
  /// Name of each axis: `unit`, `height`, `width`, `token`. One of them is `unit`.
  std::vector<std::string> axes{};
  /// Length of its axis `unit`.
  std::int32_t units = 0;
  /// Names of its units, if they have any.
  std::vector<std::string> labels{};
  /// Whether the values are read after the layer's nonlinearity.
  bool after_nonlinearity = false;

  /// A layer of `count` numbers, such as the scores of a classifier.
  static Layer vector(std::string name, std::int32_t count, std::string kind = "scores") {
    return {std::move(name), std::move(kind), {count}, {"unit"}, count, {}, false};
  }
};

struct OracleDescription {
  /// The kind of the model.
  std::string kind{};
  std::vector<Capability> capabilities{Capability::scores, Capability::units};
  /// Whether the same stimuli always give the same activations.
  bool deterministic = true;
  /// Shape of one stimulus.
  Shape stimulus_shape{};
  std::vector<Layer> layers{};
  /// The number of rows that one call serves best.
  std::int32_t batch_size = 1;
  /// Changes whenever the model changes; empty: studies cannot tell two models apart.
  std::string fingerprint{};
  std::vector<std::string> notes{};
};

struct ListedOracle {
  std::string name{};
  OracleDescription description{};
  /// Why it cannot be used; empty if it can.
  std::string problem{};
};

struct ListedGenerator {
  std::string name{};
  std::string kind{};
  std::string summary{};
  Shape stimulus_shape{};
  /// Dimension of its latents.
  std::int32_t dimension = 0;
  bool differentiable = false;
  /// Why it cannot be used; empty if it can.
  std::string problem{};
};

}  // namespace blackbox_am
