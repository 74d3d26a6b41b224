#include <cmath>

#include "blackbox_am/study.hpp"
#include "connection.hpp"
#include "teller.hpp"

namespace blackbox_am {

namespace {

/// Measures candidates one after another until the batch, the study, or the loop ends.
void measure_each(const Candidates& candidates, const Measure& measure,
                  const AskTellOptions& options, Teller& teller, AskTellResult& result) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (options.ask.stop.stop_requested() || teller.broken()) return;
    const double score = measure(candidates[i]);
    teller.add(candidates.ids[i], score);
    ++result.measured;
    result.failed += std::isnan(score) ? 1 : 0;
  }
}

/// The next candidates; none where the loop was stopped.
std::optional<Candidates> asked(const Study& study, const AskTellOptions& options) {
  if (options.ask.stop.stop_requested()) return {};
  try {
    AskOptions ask = options.ask;
    ask.wait.reset();  // the loop waits as long as the study goes on
    return study.ask(ask);
  } catch (const Stopped&) {
    return {};
  }
}

TellResult told(const Study& study, const Candidates& candidates,
                const std::vector<double>& values, const AskTellOptions& options) {
  const TellOptions tell{.reconnect = options.ask.reconnect, .stop = {}};
  const std::size_t rows = candidates.size();
  if (options.form == Form::scores || values.size() % rows != 0) {
    return study.tell(candidates, values, tell);
  }
  const Shape shape{static_cast<std::int64_t>(rows),
                    static_cast<std::int64_t>(values.size() / rows)};
  return study.tell(candidates.ids,
                    TensorView(Dtype::float64, shape, std::as_bytes(std::span(values))),
                    options.form, tell);
}

void call(const std::function<void(const Candidates&)>& function, const Candidates& candidates) {
  if (function) function(candidates);
}

}  // namespace

AskTellResult Study::ask_tell(const Measure& measure, const AskTellOptions& options) const {
  AskTellResult result;
  Teller teller(*this, options);
  while (const auto candidates = asked(*this, options)) {
    result.state = candidates->state;
    result.done = candidates->done;
    if (result.done) break;
    call(options.on_candidates, *candidates);
    teller.begin(*candidates);
    try {
      measure_each(*candidates, measure, options, teller, result);
    } catch (...) {
      try {
        teller.finish();  // what was measured is not lost
      } catch (const std::exception&) {
        // The error of the measurement is the first one, and the one that is reported.
      }
      throw;
    }
    teller.finish();
    call(options.on_measured, *candidates);
  }
  result.accepted = teller.accepted();
  if (!result.done && teller.state() != StudyState::none) result.state = teller.state();
  return result;
}

AskTellResult Study::ask_tell_batches(const MeasureAll& measure,
                                      const AskTellOptions& options) const {
  AskTellResult result;
  while (const auto candidates = asked(*this, options)) {
    result.state = candidates->state;
    result.done = candidates->done;
    if (result.done) break;
    call(options.on_candidates, *candidates);
    const std::vector<double> values = measure(*candidates);
    try {
      result.accepted += told(*this, *candidates, values, options).accepted;
    } catch (const StudyClosed&) {
      continue;  // another client ended the study: the next ask says how
    }
    result.measured += static_cast<std::int64_t>(candidates->size());
    for (const double value : values) result.failed += std::isnan(value) ? 1 : 0;
    call(options.on_measured, *candidates);
  }
  return result;
}

}  // namespace blackbox_am
