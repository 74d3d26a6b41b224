/// The events of a study, as a range.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/event.hpp"

namespace blackbox_am {

struct WatchOptions {
  /// Only events after this sequence number; 0 for all.
  std::int64_t after_sequence = 0;
  /// Events of generations that follow each other faster are left out, except the last one.
  Seconds min_interval{0.0};
  /// Longest time to wait for a server that is away.
  Seconds reconnect = default_reconnect;
  /// None: until the study ends.
  std::optional<Seconds> timeout{};
  /// Ends the watch, from any thread.
  std::stop_token stop{};
};

/// Past and new events of a study in order, until the study ends, the time is over, or the stop
/// token says so. After a lost connection the events continue after the last one, without gaps or
/// repeats. An input range: `for (const Event& event : study.watch()) ...`
///
/// Its destructor ends the call. It belongs to one thread.
class Watch {
 public:
  /// Waits for the next event. None at the end of the watch.
  /// Throws ServerUnavailable if the server did not come back in time, and NotFound if the study
  /// is deleted.
  std::optional<Event> next();
  /// Whether the study has ended: false after a watch that its time or stop token ended.
  [[nodiscard]] bool ended() const noexcept;

  class Iterator {
   public:
    using value_type = Event;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(Watch* watch) : watch_(watch) { ++*this; }
    const Event& operator*() const noexcept { return *event_; }
    const Event* operator->() const noexcept { return &*event_; }
    Iterator& operator++() {
      event_ = watch_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !event_.has_value(); }

   private:
    Watch* watch_;
    std::optional<Event> event_;
  };

  [[nodiscard]] Iterator begin() { return Iterator(this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;
  ~Watch();

 private:
  friend class Study;
  class State;
  explicit Watch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace blackbox_am
