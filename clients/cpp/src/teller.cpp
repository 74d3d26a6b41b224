#include "teller.hpp"

#include <algorithm>

#include "blackbox_am/errors.hpp"

namespace blackbox_am {

namespace {

constexpr Seconds longest_sleep{3600.0};

}  // namespace

Teller::Teller(const Study& study, const AskTellOptions& options)
    : study_(study), options_(options), thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Teller::begin(const Candidates& candidates) {
  const std::lock_guard lock(mutex_);
  lease_id_ = candidates.lease_id;
  leased_ = Clock::now();
  changed_.notify_all();
}

void Teller::add(std::uint64_t id, double score) {
  const std::lock_guard lock(mutex_);
  ids_.push_back(id);
  scores_.push_back(score);
  if (!oldest_) {
    oldest_ = Clock::now();
    changed_.notify_all();
  }
}

bool Teller::broken() {
  const std::lock_guard lock(mutex_);
  return error_ != nullptr || closed_;
}

void Teller::finish() {
  std::unique_lock lock(mutex_);
  lease_id_.clear();
  hurry_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return finished() || error_ != nullptr || closed_; });
  hurry_ = false;
  if (error_ != nullptr) std::rethrow_exception(error_);
}

std::int64_t Teller::accepted() {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

StudyState Teller::state() {
  const std::lock_guard lock(mutex_);
  return state_;
}

Teller::Clock::time_point Teller::renew_time() const {
  return leased_ + std::chrono::duration_cast<Clock::duration>(
                       std::min(options_.ask.lease, longest_sleep) / 3);
}

void Teller::run(const std::stop_token& stop) {
  const auto tell_every =
      std::chrono::duration_cast<Clock::duration>(std::min(options_.tell_every, longest_sleep));
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    auto wake = Clock::now() + std::chrono::duration_cast<Clock::duration>(longest_sleep);
    if (!lease_id_.empty()) wake = std::min(wake, renew_time());
    if (oldest_) wake = std::min(wake, *oldest_ + tell_every);
    if (error_ == nullptr && !closed_ && oldest_ && (hurry_ || Clock::now() >= *oldest_ + tell_every)) {
      send(lock);
    } else if (!lease_id_.empty() && Clock::now() >= renew_time()) {
      renew(lock);
    } else {
      changed_.wait_until(lock, stop, wake, [&, lease = lease_id_, rows = oldest_.has_value(),
                                             hurry = hurry_, leased = leased_] {
        return lease != lease_id_ || rows != oldest_.has_value() || hurry != hurry_ ||
               leased != leased_;
      });
    }
  }
}

void Teller::send(std::unique_lock<std::mutex>& lock) {
  const std::vector<std::uint64_t> ids = std::exchange(ids_, {});
  const std::vector<double> scores = std::exchange(scores_, {});
  oldest_.reset();
  sending_ = true;
  lock.unlock();
  std::exception_ptr error;
  TellResult told;
  bool closed = false;
  try {
    told = study_.tell(ids, scores, {.reconnect = options_.ask.reconnect, .stop = {}});
  } catch (const StudyClosed&) {
    closed = true;  // another client ended the study: the rows are of no use any more
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  sending_ = false;
  error_ = error;
  closed_ = closed;
  accepted_ += told.accepted;
  if (told.state != StudyState::none) state_ = told.state;
  changed_.notify_all();
}

void Teller::renew(std::unique_lock<std::mutex>& lock) {
  const std::string lease = lease_id_;
  lock.unlock();
  bool held = true;
  try {
    study_.renew(lease, options_.ask.lease);
  } catch (const NotFound&) {
    held = false;  // every candidate of it is told, or it ran out: telling late is allowed
  } catch (const Error&) {
    // The server is away: the next attempt comes after a third of the lease again.
  }
  lock.lock();
  leased_ = Clock::now();
  if (!held && lease_id_ == lease) lease_id_.clear();
}

}  // namespace blackbox_am
