#include "ticker.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

namespace {

/// Sleeping wakes late by tens of microseconds: the last part of a wait is spent looking at the
/// clock.
constexpr std::chrono::microseconds awake{100};

}  // namespace

Ticker::Ticker(double rate_hz)
    : period_(std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double>(1.0 / rate_hz))) {}

void Ticker::restart() { first_ = true; }

void Ticker::wait() {
  if (first_) {
    due_ = Clock::now();
  } else {
    due_ += period_;
    if (due_ - Clock::now() > awake) std::this_thread::sleep_until(due_ - awake);
    while (Clock::now() < due_) {
    }
  }
  const Clock::time_point now = Clock::now();
  if (!first_) intervals_.push_back(std::chrono::duration<double>(now - last_).count());
  first_ = false;
  last_ = now;
  ++ticks_;
}

Ticker::Statistics Ticker::statistics() const {
  Statistics found;
  found.ticks = ticks_;
  if (intervals_.empty()) return found;
  const double wanted = std::chrono::duration<double>(period_).count();
  double sum = 0.0;
  for (const double interval : intervals_) {
    sum += interval;
    found.largest_us = std::max(found.largest_us, std::abs(interval - wanted) * 1e6);
    found.late += interval > 1.5 * wanted ? 1 : 0;
  }
  const double mean = sum / static_cast<double>(intervals_.size());
  double squares = 0.0;
  for (const double interval : intervals_) squares += (interval - mean) * (interval - mean);
  found.rate_hz = 1.0 / mean;
  found.jitter_us = std::sqrt(squares / static_cast<double>(intervals_.size())) * 1e6;
  return found;
}
