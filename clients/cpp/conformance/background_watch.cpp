#include "session.hpp"

namespace driver {

namespace bam = blackbox_am;

BackgroundWatch::BackgroundWatch(const bam::Study& study, bam::WatchOptions options)
    : thread_([this, study, options](const std::stop_token& stop) { run(study, options, stop); }) {}

void BackgroundWatch::run(const bam::Study& study, bam::WatchOptions options,
                          const std::stop_token& stop) {
  options.stop = stop;
  bool ended = false;
  std::exception_ptr error;
  try {
    ended = study.watch(
        [this](const bam::Event& event) {
          const std::lock_guard lock(mutex_);
          events_.push_back(event);
          changed_.notify_all();
        },
        options);
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  over_ = true;
  ended_ = ended;
  error_ = error;
  changed_.notify_all();
}

Json BackgroundWatch::next(std::size_t count, bam::Seconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return over_ || events_.size() >= count; });
  if (events_.empty() && error_ != nullptr) std::rethrow_exception(error_);
  Json events = Json::array();
  while (!events_.empty() && events.size() < count) {
    events.push_back(of_event(events_.front()));
    events_.pop_front();
  }
  return {{"events", events}, {"ended", ended_ && events_.empty()}};
}

}  // namespace driver
