/// The model functions of the driver protocol.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "blackbox_am/blackbox_am.hpp"
#include "encoding.hpp"

namespace driver {

/// What a model function throws.
class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// sum of ((i + shift) mod 7 - 3) * x_i
[[nodiscard]] double linear(std::span<const double> x, std::size_t shift);

/// A model function, which counts its calls and the candidates of them.
class Model {
 public:
  /// Throws DriverError for an unknown name.
  Model(const Json& description, bool stimuli, double pause_ms);

  [[nodiscard]] blackbox_am::Form form() const;
  /// The numbers for one batch.
  [[nodiscard]] std::vector<double> operator()(const blackbox_am::Candidates& candidates);

  std::int64_t calls = 0;
  std::int64_t measured = 0;

 private:
  void measure(std::span<const double> x, std::vector<double>& scores);

  std::string name_;
  bool stimuli_;
  double pause_ms_;
  std::size_t shift_ = 0;
  std::int64_t categories_ = 1;
  std::size_t units_ = 1;
  std::int64_t every_ = 0;
  std::int64_t after_ = 0;
  std::int64_t number_ = 0;
};

}  // namespace driver
