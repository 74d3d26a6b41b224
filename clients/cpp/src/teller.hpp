/// The thread that sends measured rows and renews the lease, while the next rows are measured.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "blackbox_am/study.hpp"

namespace blackbox_am {

/// Sends what `add` takes, at most `tell_every` later. One thread measures and calls the methods.
class Teller {
 public:
  Teller(const Study& study, const AskTellOptions& options);

  /// The candidates that are measured now: their lease is renewed until `finish`.
  void begin(const Candidates& candidates);
  /// A measured row. It waits for nothing.
  void add(std::uint64_t id, double score);
  /// Whether sending has failed, or the study has ended: there is no use in measuring on.
  [[nodiscard]] bool broken();
  /// Waits until everything is sent. Throws the error that a sending ended with.
  void finish();

  /// Rows that the server took as new.
  [[nodiscard]] std::int64_t accepted();
  /// The state that the server told last; none before the first answer.
  [[nodiscard]] StudyState state();

 private:
  using Clock = std::chrono::steady_clock;

  void run(const std::stop_token& stop);
  void send(std::unique_lock<std::mutex>& lock);
  void renew(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Clock::time_point renew_time() const;
  [[nodiscard]] bool finished() const { return ids_.empty() && !sending_; }

  const Study study_;
  const AskTellOptions options_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::uint64_t> ids_;
  std::vector<double> scores_;
  std::optional<Clock::time_point> oldest_;  // when the first of the waiting rows was measured
  bool sending_ = false;
  bool hurry_ = false;
  bool closed_ = false;
  std::string lease_id_;
  Clock::time_point leased_;
  std::exception_ptr error_;
  std::int64_t accepted_ = 0;
  StudyState state_ = StudyState::none;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace blackbox_am
