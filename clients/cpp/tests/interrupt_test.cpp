#include <csignal>
#include <chrono>
#include <thread>

#include "blackbox_am/interrupt.hpp"
#include "harness.hpp"

namespace bam = blackbox_am;

namespace {

bool requested_soon(const bam::Interrupt& interrupt) {
  for (int i = 0; i < 500 && !interrupt.requested(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return interrupt.requested();
}

}  // namespace

TEST(a_signal_requests_a_stop) {
  for (const int signal : {SIGINT, SIGTERM, SIGINT}) {  // also once more, with a new object
    const bam::Interrupt interrupt;
    CHECK(!interrupt.requested());
    std::raise(signal);
    CHECK(requested_soon(interrupt));
  }
}

TEST(without_a_signal_nothing_is_requested) {
  std::stop_token token;
  {
    const bam::Interrupt interrupt;
    token = interrupt.token();
  }
  CHECK(!token.stop_requested());
}

TEST(there_is_one_at_a_time) {
  const bam::Interrupt first;
  CHECK_THROWS(std::logic_error, "one Interrupt at a time", bam::Interrupt());
}
