#include "blackbox_am/interrupt.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>

namespace blackbox_am {

namespace {

// A handler may do little more than write: the bytes wake a thread that may do everything.
std::array<int, 2> pipe_ends{-1, -1};
std::array<struct sigaction, 2> before{};
constexpr std::array<int, 2> signals{SIGINT, SIGTERM};
constexpr char interrupted = 'i';
constexpr char over = 'o';

extern "C" void blackbox_am_on_signal(int) {
  const int kept = errno;
  static_cast<void>(!write(pipe_ends[1], &interrupted, 1));
  errno = kept;
}

}  // namespace

Interrupt::Interrupt() {
  if (pipe_ends[0] >= 0) throw std::logic_error("there can be one Interrupt at a time");
  if (pipe(pipe_ends.data()) != 0) throw std::runtime_error("cannot open a pipe for signals");
  waiting_ = std::jthread([source = source_]() mutable {
    char byte = over;
    while (read(pipe_ends[0], &byte, 1) < 0 && errno == EINTR) {
    }
    if (byte == interrupted) source.request_stop();
  });
  struct sigaction action {};
  action.sa_handler = blackbox_am_on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;  // a second signal ends the process
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &action, &before[i]);
}

Interrupt::~Interrupt() {
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &before[i], nullptr);
  static_cast<void>(!write(pipe_ends[1], &over, 1));
  waiting_.join();
  for (int& end : pipe_ends) {
    close(end);
    end = -1;
  }
}

}  // namespace blackbox_am
