#include "blackbox_am/event.hpp"

#include <array>

#include "messages_internal.hpp"

namespace blackbox_am {

namespace {

template <class List>
auto listed(const List& list) {
  return std::vector<typename List::value_type>(list.begin(), list.end());
}

GenerationClosed closed(const v1::GenerationClosed& message) {
  return {.generation = message.generation(),
          .targets = listed(message.targets()),
          .best_scores = listed(message.best_scores()),
          .mean_scores = listed(message.mean_scores()),
          .best_so_far = listed(message.best_so_far()),
          .total_rows = message.total_rows(),
          .seconds = message.seconds()};
}

BestRechecked rechecked(const v1::BestRechecked& message) {
  return {.generation = message.generation(),
          .targets = listed(message.targets()),
          .best_scores = listed(message.best_scores()),
          .standard_errors = listed(message.standard_errors()),
          .total_rows = message.total_rows()};
}

decltype(Event::what) what_of(const v1::StudyEvent& event) {
  switch (event.event_case()) {
    case v1::StudyEvent::kCreated:
      return Created{};
    case v1::StudyEvent::kStateChanged:
      return StateChanged{static_cast<StudyState>(event.state_changed().state()),
                          static_cast<StopReason>(event.state_changed().stop_reason()),
                          event.state_changed().message()};
    case v1::StudyEvent::kGenerationOpened:
      return GenerationOpened{event.generation_opened().generation(),
                              event.generation_opened().candidates()};
    case v1::StudyEvent::kRowsTold:
      return RowsTold{event.rows_told().generation(), event.rows_told().rows(),
                      event.rows_told().failed()};
    case v1::StudyEvent::kGenerationClosed:
      return closed(event.generation_closed());
    case v1::StudyEvent::kBudgetChanged:
      return BudgetChanged{event.budget_changed().budget().queries_per_target()};
    case v1::StudyEvent::kResumed:
      return Resumed{event.resumed().generation(), event.resumed().exact(),
                     event.resumed().message()};
    case v1::StudyEvent::kAdopted:
      return Adopted{event.adopted().message()};
    case v1::StudyEvent::kBaselineMeasured:
      return BaselineMeasured{event.baseline_measured().images()};
    case v1::StudyEvent::kBestRechecked:
      return rechecked(event.best_rechecked());
    case v1::StudyEvent::EVENT_NOT_SET:
      break;
  }
  return UnknownEvent{};
}

}  // namespace

std::string_view Event::kind() const noexcept {
  // In the order of the variant.
  constexpr std::array<std::string_view, std::variant_size_v<decltype(what)>> names{
      "",           "created",        "state_changed", "generation_opened",
      "rows_told",  "generation_closed", "budget_changed", "resumed",
      "adopted",    "baseline_measured", "best_rechecked"};
  return names[what.index()];
}

Event from_message(const v1::StudyEvent& event) {
  return {.sequence = event.sequence(),
          .time = from_message(event.time()),
          .what = what_of(event)};
}

}  // namespace blackbox_am
