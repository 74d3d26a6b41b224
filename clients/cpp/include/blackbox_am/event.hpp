/// What happens to a study.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "blackbox_am/progress.hpp"

namespace blackbox_am {

/// The study began.
struct Created {};

/// The study moved to a state, or has something new to say about it.
struct StateChanged {
  StudyState state = StudyState::none;
  StopReason stop_reason = StopReason::none;
  std::string message{};
};

/// The first candidates of a generation went out to clients.
struct GenerationOpened {
  std::int32_t generation = 0;
  std::int64_t candidates = 0;
};

/// Measurements of an open generation came in.
struct RowsTold {
  std::int32_t generation = 0;
  std::int64_t rows = 0;
  std::int64_t failed = 0;
};

/// Every row of a generation is in. One entry in each list for each target that took part.
struct GenerationClosed {
  std::int32_t generation = 0;
  std::vector<std::int32_t> targets{};
  /// Of this generation alone; nan where every row failed.
  std::vector<double> best_scores{};
  std::vector<double> mean_scores{};
  /// Of this and all earlier generations: never falls.
  std::vector<double> best_so_far{};
  std::int64_t total_rows = 0;
  double seconds = 0.0;
};

/// The budget was raised.
struct BudgetChanged {
  std::int32_t queries_per_target = 0;
};

/// A server took the study up again.
struct Resumed {
  std::int32_t generation = 0;
  /// Whether nothing was lost; otherwise `message` says what.
  bool exact = false;
  std::string message{};
};

/// The study goes on with another model or generator, as its owner asked.
struct Adopted {
  std::string message{};
};

/// The oracle observed natural images.
struct BaselineMeasured {
  std::int64_t images = 0;
};

/// The best candidates were measured again.
struct BestRechecked {
  std::int32_t generation = 0;
  std::vector<std::int32_t> targets{};
  std::vector<double> best_scores{};
  std::vector<double> standard_errors{};
  std::int64_t total_rows = 0;
};

/// An event of a kind that this client does not know: pass over it.
struct UnknownEvent {};

/// One event. Sequence numbers have no gaps, except where `WatchOptions::min_interval` leaves
/// events out.
struct Event {
  std::int64_t sequence = 0;
  std::chrono::system_clock::time_point time{};
  std::variant<UnknownEvent, Created, StateChanged, GenerationOpened, RowsTold, GenerationClosed,
               BudgetChanged, Resumed, Adopted, BaselineMeasured, BestRechecked>
      what{};

  /// The event if it is of this kind, or null: `event.get_if<GenerationClosed>()`.
  template <class T>
  [[nodiscard]] const T* get_if() const noexcept {
    return std::get_if<T>(&what);
  }
  /// The name of the kind on the wire, such as `generation_closed`; empty if unknown.
  [[nodiscard]] std::string_view kind() const noexcept;
};

}  // namespace blackbox_am
