/// A clock that ticks at a fixed rate, and what is known of its jitter.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

/// Waits for the ticks of a rig. A tick that comes too late moves no later tick.
class Ticker {
 public:
  explicit Ticker(double rate_hz);
  /// The next tick is the first of a series: pauses between series are not intervals.
  void restart();
  /// Waits for the next tick.
  void wait();

  struct Statistics {
    std::int64_t ticks = 0;
    /// Ticks a second within series.
    double rate_hz = 0.0;
    /// Standard deviation of the intervals, and the largest distance from the wanted interval, in
    /// microseconds.
    double jitter_us = 0.0;
    double largest_us = 0.0;
    /// Intervals that are more than half a period too long.
    std::int64_t late = 0;
  };
  [[nodiscard]] Statistics statistics() const;

 private:
  using Clock = std::chrono::steady_clock;

  Clock::duration period_;
  Clock::time_point due_;
  Clock::time_point last_;
  bool first_ = true;
  std::int64_t ticks_ = 0;
  std::vector<double> intervals_;  // in seconds
};
