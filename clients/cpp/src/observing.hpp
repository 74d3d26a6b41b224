/// The answers of an oracle of this process.
#pragma once

#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "blackbox_am/oracle_server.hpp"
#include "blackbox_am/tensor.hpp"

namespace blackbox_am {

/// Checks requests, calls the observe function, and counts its calls. Safe to use from any thread.
class Observer {
 public:
  /// Throws InvalidInput for a description that makes no sense.
  Observer(OracleDescription description, Observe observe, bool concurrent);

  [[nodiscard]] const OracleDescription& description() const noexcept { return description_; }
  [[nodiscard]] std::int64_t calls() const noexcept { return calls_; }
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }

  /// Throws ShapeMismatch for stimuli of another type or shape than (N, *stimulus_shape).
  void check_stimuli(Dtype dtype, const Shape& shape) const;
  /// Activations (N, U) float32. `batch` is the largest number of rows of one call; 0: no limit.
  /// Throws UnknownUnit, InvalidInput or ShapeMismatch for a bad request, the errors of the
  /// function, and OracleFailed for any other exception of the function.
  [[nodiscard]] Tensor observe(const TensorView& stimuli, std::span<const std::string> addresses,
                               std::size_t batch);

 private:
  /// Which of the units that the function reads a requested unit is made of, and how.
  struct Column {
    std::size_t first = 0;
    std::size_t count = 1;
    std::string reduce{};
  };
  struct Plan {
    std::vector<Unit> units{};
    std::vector<Column> columns{};
  };

  [[nodiscard]] Plan plan(std::span<const std::string> addresses) const;
  void add(const Unit& unit, const std::string& field, Plan& plan) const;
  void call(const Observation& observation);

  const OracleDescription description_;
  const Observe observe_;
  const bool concurrent_;
  std::mutex mutex_;
  std::atomic<std::int64_t> calls_{0};
  std::atomic<std::int64_t> rows_{0};
};

}  // namespace blackbox_am
