#include "blackbox_am/progress.hpp"

#include <array>

#include "blackbox_am/errors.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

namespace {

constexpr std::array<std::string_view, 7> states{"",       "PENDING",   "RUNNING",  "PAUSED",
                                                 "SUCCEEDED", "FAILED", "CANCELLED"};
constexpr std::array<std::string_view, 8> reasons{"",         "TARGET", "BUDGET", "TIME",
                                                  "PATIENCE", "USER",   "ORACLE", "SUCCESS"};
constexpr std::array<std::string_view, 6> capabilities{"",     "SCORES",    "UNITS",
                                                       "MAPS", "GRADIENTS", "INTERVENTION"};

template <std::size_t N>
std::string_view named(const std::array<std::string_view, N>& names, int number) {
  return number >= 0 && number < static_cast<int>(N) ? names[static_cast<std::size_t>(number)]
                                                     : "UNKNOWN";
}

Standing standing(const v1::Standing& message) {
  Standing found;
  found.images = message.images();
  found.best_image = message.best_image();
  found.maximum = message.maximum();
  found.mean = message.mean();
  found.standard_deviation = message.standard_deviation();
  if (message.has_rank()) found.rank = message.rank();
  return found;
}

TargetProgress target(const v1::TargetProgress& message) {
  TargetProgress found;
  found.target = message.target();
  found.title = message.title();
  found.finished = message.finished();
  found.stop_reason = static_cast<StopReason>(message.stop_reason());
  found.queries = message.queries();
  if (message.has_best_score()) found.best_score = message.best_score();
  if (message.has_natural()) found.natural = standing(message.natural());
  return found;
}

Accounting accounting(const v1::Accounting& message) {
  return {.search_rows = message.search_rows(),
          .recheck_rows = message.recheck_rows(),
          .baseline_rows = message.baseline_rows(),
          .retried_rows = message.retried_rows(),
          .failed_rows = message.failed_rows(),
          .oracle_calls = message.oracle_calls(),
          .oracle_rows = message.oracle_rows(),
          .cost = message.cost()};
}

}  // namespace

std::string_view name_of(StudyState state) noexcept {
  return named(states, static_cast<int>(state));
}

std::string_view name_of(StopReason reason) noexcept {
  return named(reasons, static_cast<int>(reason));
}

std::string_view name_of(Capability capability) noexcept {
  return named(capabilities, static_cast<int>(capability));
}

StudyState state_of(std::string_view name) {
  for (std::size_t i = 1; i < states.size(); ++i) {
    if (states[i] == name) return static_cast<StudyState>(i);
  }
  throw InvalidInput("expected PENDING, RUNNING, PAUSED, SUCCEEDED, FAILED or CANCELLED, got '" +
                         std::string(name) + "'",
                     {.field = "states"});
}

bool is_active(StudyState state) noexcept {
  return state == StudyState::pending || state == StudyState::running ||
         state == StudyState::paused;
}

StudyProgress from_message(const v1::Study& study) {
  StudyProgress found;
  found.study_id = study_id(study.name());
  found.state = static_cast<StudyState>(study.state());
  found.stop_reason = static_cast<StopReason>(study.stop_reason());
  found.message = study.message();
  found.sequence = study.sequence();
  found.generation = study.generation();
  for (const auto& one : study.targets()) found.targets.push_back(target(one));
  found.target_count = study.target_count();
  if (study.has_best_score()) found.best_score = study.best_score();
  found.accounting = accounting(study.accounting());
  found.queries_per_target = study.spec().budget().queries_per_target();
  found.population = study.population();
  if (study.spec().has_seed()) found.seed = study.spec().seed();
  found.seconds = study.seconds();
  found.optimizer = study.optimizer().name();
  found.oracle = study.spec().oracle();
  found.generator = study.spec().generator().name();
  found.warning = study.warning();
  found.labels = {study.spec().labels().begin(), study.spec().labels().end()};
  found.units = {study.units().begin(), study.units().end()};
  found.stimulus_shape = {study.stimulus_shape().begin(), study.stimulus_shape().end()};
  found.noisy = study.noisy();
  found.create_time = from_message(study.create_time());
  return found;
}

Best from_message(const v1::Best& best) {
  Best found;
  found.target = best.target();
  found.title = best.title();
  found.score = best.score();
  found.generation = best.generation();
  found.row = best.row();
  found.latent = from_message(best.latent(), "latent");
  if (best.has_stimulus()) found.stimulus = from_message(best.stimulus(), "stimulus");
  if (best.has_natural()) found.natural = standing(best.natural());
  if (best.has_values()) found.values = from_message(best.values(), "values");
  return found;
}

Generation from_message(const v1::Generation& generation) {
  return {.generation = generation.generation(),
          .targets = {generation.targets().begin(), generation.targets().end()},
          .scores = from_message(generation.scores(), "scores"),
          .total_rows = generation.total_rows(),
          .seconds = generation.seconds()};
}

}  // namespace blackbox_am
