/// Waiting for a server that is away.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/errors.hpp"

namespace blackbox_am {

using SteadyTime = std::chrono::steady_clock::time_point;

/// The time on the steady clock after `seconds`; none if that is further than the clock counts.
[[nodiscard]] std::optional<SteadyTime> time_after(std::optional<Seconds> seconds);
/// Seconds until `deadline`, at least 0; none without a deadline.
[[nodiscard]] std::optional<Seconds> left_until(const std::optional<SteadyTime>& deadline);
/// Sleeps. Throws Stopped when the token says so.
void sleep(Seconds seconds, std::stop_token stop);

/// Waits longer after each failed attempt, up to a limit of the whole time.
class Reconnecting {
 public:
  explicit Reconnecting(Seconds limit, std::stop_token stop = {},
                        std::optional<SteadyTime> deadline = {});
  /// The server answered: a later failure counts as the first one.
  void answered() noexcept;
  /// Waits before the next attempt. To be called where `error` is caught: throws it again if the
  /// server did not come back in time. Throws Stopped.
  void failed(const ServerUnavailable& error);

 private:
  Seconds limit_;
  std::stop_token stop_;
  std::optional<SteadyTime> deadline_;
  Seconds pause_;
  std::optional<SteadyTime> lost_since_;
};

}  // namespace blackbox_am
