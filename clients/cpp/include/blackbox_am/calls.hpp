/// Options that calls have in common.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>

namespace blackbox_am {

using Seconds = std::chrono::duration<double>;

/// The time limit of one call, and a token that stops the call.
struct CallOptions {
  /// None: the time limit of the connection. A call that takes longer is ServerUnavailable.
  std::optional<Seconds> timeout{};
  /// A call that is stopped throws Stopped.
  std::stop_token stop{};
};

/// Longest time to wait for a server that is away, where a call is repeated.
inline constexpr Seconds default_reconnect{60.0};

}  // namespace blackbox_am
