#include "reconnecting.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace blackbox_am {

namespace {

constexpr Seconds first_pause{0.1};
constexpr Seconds longest_pause{1.0};
constexpr Seconds longest_wait{1e9};  // about 30 years: further than any clock here must count

using Clock = std::chrono::steady_clock;

}  // namespace

std::optional<SteadyTime> time_after(std::optional<Seconds> seconds) {
  if (!seconds || !(*seconds < longest_wait)) return {};
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(*seconds);
}

std::optional<Seconds> left_until(const std::optional<SteadyTime>& deadline) {
  if (!deadline) return {};
  return std::max(Seconds(*deadline - Clock::now()), Seconds(0.0));
}

void sleep(Seconds seconds, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, std::min(seconds, longest_wait), [] { return false; });
  if (stop.stop_requested()) throw Stopped();
}

Reconnecting::Reconnecting(Seconds limit, std::stop_token stop, std::optional<SteadyTime> deadline)
    : limit_(limit), stop_(std::move(stop)), deadline_(deadline), pause_(first_pause) {}

void Reconnecting::answered() noexcept {
  pause_ = first_pause;
  lost_since_.reset();
}

void Reconnecting::failed(const ServerUnavailable& error) {
  const SteadyTime now = Clock::now();
  if (!lost_since_) lost_since_ = now;
  Seconds wait = std::max(pause_, Seconds(error.retry_after().value_or(0.0)));
  if (Seconds(now - *lost_since_) + wait > limit_) throw;
  if (const auto left = left_until(deadline_)) wait = std::min(wait, *left);
  sleep(wait, stop_);
  pause_ = std::min(2 * pause_, longest_pause);
}

}  // namespace blackbox_am
