/// What the server says about a study.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blackbox_am/spec.hpp"
#include "blackbox_am/tensor.hpp"

namespace blackbox_am {

/// The numbers are those of the wire; a later server may send numbers without a name.
enum class StudyState { none = 0, pending, running, paused, succeeded, failed, cancelled };
enum class StopReason { none = 0, target, budget, time, patience, user, oracle, success };

/// `RUNNING`; empty for none, `UNKNOWN` for a number without a name.
[[nodiscard]] std::string_view name_of(StudyState state) noexcept;
[[nodiscard]] std::string_view name_of(StopReason reason) noexcept;
/// The state with this name. Throws InvalidInput for an unknown name.
[[nodiscard]] StudyState state_of(std::string_view name);
/// Whether a study in this state goes on, or can go on without an extension.
[[nodiscard]] bool is_active(StudyState state) noexcept;

/// The place of a best score among the scores of natural images.
struct Standing {
  std::int32_t images = 0;
  std::int32_t best_image = 0;
  double maximum = 0.0;
  double mean = 0.0;
  double standard_deviation = 0.0;
  std::optional<double> rank{};
};

struct TargetProgress {
  std::int32_t target = 0;
  /// Its objective in words.
  std::string title{};
  bool finished = false;
  StopReason stop_reason = StopReason::none;
  std::int32_t queries = 0;
  /// None until something was measured.
  std::optional<double> best_score{};
  std::optional<Standing> natural{};
};

/// What was measured, and what was asked of the oracle for it.
struct Accounting {
  std::int64_t search_rows = 0;
  std::int64_t recheck_rows = 0;
  std::int64_t baseline_rows = 0;
  std::int64_t retried_rows = 0;
  std::int64_t failed_rows = 0;
  std::int64_t oracle_calls = 0;
  std::int64_t oracle_rows = 0;
  double cost = 0.0;
};

struct StudyProgress {
  std::string study_id{};
  StudyState state = StudyState::none;
  StopReason stop_reason = StopReason::none;
  /// Why it is in this state; often empty.
  std::string message{};
  /// Number of the last event.
  std::int64_t sequence = 0;
  /// The open generation, from 0.
  std::int32_t generation = 0;
  /// Empty in listings.
  std::vector<TargetProgress> targets{};
  std::int32_t target_count = 0;
  std::optional<double> best_score{};
  Accounting accounting{};
  std::int32_t queries_per_target = 0;
  /// Candidates of each target in a full generation.
  std::int32_t population = 0;
  /// As it was given, or drawn by the server.
  std::optional<std::int64_t> seed{};
  double seconds = 0.0;
  /// The optimizer that searches, such as the choice of `auto`.
  std::string optimizer{};
  std::string oracle{};
  std::string generator{};
  std::string warning{};
  Labels labels{};
  /// All units that its targets read: the columns of measurements of the form `all_units`.
  std::vector<std::string> units{};
  /// Shape of one stimulus.
  Shape stimulus_shape{};
  bool noisy = false;
  std::chrono::system_clock::time_point create_time{};
};

/// The best candidate of one target so far.
struct Best {
  std::int32_t target = 0;
  std::string title{};
  double score = 0.0;
  std::int32_t generation = 0;
  std::int32_t row = 0;
  /// (D,) float32, or int64 codes.
  Tensor latent{};
  /// (*stimulus,) if requested.
  Tensor stimulus{};
  std::optional<Standing> natural{};
  /// (U,) float64: what was measured; empty for a candidate that is not a row of the search.
  Tensor values{};
};

/// The scores of one closed generation.
struct Generation {
  std::int32_t generation = 0;
  std::vector<std::int32_t> targets{};
  /// (targets, rows) float64, nan for failed or missing rows.
  Tensor scores{};
  std::int64_t total_rows = 0;
  double seconds = 0.0;
};

}  // namespace blackbox_am
