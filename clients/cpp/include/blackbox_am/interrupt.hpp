/// Ctrl-C as a stop token.
#pragma once

#include <stop_token>
#include <thread>

namespace blackbox_am {

/// While it exists, the first SIGINT or SIGTERM requests a stop, and a second one ends the process.
/// There can be one at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }
  [[nodiscard]] bool requested() const noexcept { return source_.stop_requested(); }

 private:
  std::stop_source source_;
  std::jthread waiting_;
};

}  // namespace blackbox_am
