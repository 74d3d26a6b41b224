/// Candidates to measure, and the result of sending measurements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/progress.hpp"
#include "blackbox_am/tensor.hpp"

namespace blackbox_am {

struct AskOptions {
  /// Largest number of candidates; 0 for as many as fit into one message.
  std::int32_t max_candidates = 0;
  /// Whether to send the rendered stimuli, and their type: uint8 (0..255) or float32 (0..1).
  bool stimuli = false;
  Dtype dtype = Dtype::uint8;
  /// How long the candidates are held for this client.
  Seconds lease{60.0};
  /// Longest wait if others hold all candidates, or the study is paused. None: no limit.
  std::optional<Seconds> wait{};
  /// Longest time to wait for a server that is away.
  Seconds reconnect = default_reconnect;
  /// Stops the wait: Stopped is thrown.
  std::stop_token stop{};
};

/// One candidate: a view of a row of `Candidates`.
struct Candidate {
  std::uint64_t id = 0;
  std::int32_t target = 0;
  std::int32_t generation = 0;
  /// (D,) float32, or int64 codes.
  TensorView latent{};
  /// (*stimulus,) if requested.
  TensorView stimulus{};
};

/// Candidates, held for this client until their lease ends.
struct Candidates {
  std::vector<std::uint64_t> ids{};
  /// The target of each candidate.
  std::vector<std::int32_t> targets{};
  /// Of all of them.
  std::int32_t generation = 0;
  /// (N, D) float32, or int64 codes.
  Tensor latents{};
  /// (N, *stimulus) if requested.
  Tensor stimuli{};
  std::string lease_id{};
  Seconds lease{0.0};
  StudyState state = StudyState::none;
  /// The study has ended: there are and will be no candidates.
  bool done = false;
  /// When to ask again if there are no candidates now.
  Seconds retry_after{0.0};

  [[nodiscard]] std::size_t size() const noexcept { return ids.size(); }
  [[nodiscard]] bool empty() const noexcept { return ids.empty(); }
  /// Candidate number `index`. Throws std::out_of_range.
  [[nodiscard]] Candidate operator[](std::size_t index) const;
};

/// What the numbers of a measurement are.
enum class Form {
  /// One number for each candidate, for targets that read one unit.
  scores,
  /// (N, U): each row holds the units of its target in the objective's order; shorter rows are
  /// filled up with nan.
  activations,
  /// (N, U): each row holds all units of the study, in the order of `StudyProgress::units`.
  all_units,
};

struct TellOptions {
  /// Longest time to wait for a server that is away.
  Seconds reconnect = default_reconnect;
  std::stop_token stop{};
};

struct TellResult {
  /// Rows that were new.
  std::int64_t accepted = 0;
  /// Rows told before, or of a closed generation: the first result counts.
  std::int64_t repeated = 0;
  StudyState state = StudyState::none;
  bool done = false;
  /// The open generation and the last event afterwards.
  std::int32_t generation = 0;
  std::int64_t sequence = 0;
};

/// Measures one candidate: returns its score, or nan if the measurement failed.
using Measure = std::function<double(const Candidate&)>;
/// Measures all candidates of one ask: returns N numbers, or N rows of U numbers.
using MeasureAll = std::function<std::vector<double>(const Candidates&)>;

struct AskTellOptions {
  AskOptions ask{};
  /// What the numbers of `MeasureAll` are.
  Form form = Form::scores;
  /// Longest time that a measured row waits before it is sent (only with `Measure`).
  Seconds tell_every{1.0};
  /// Called in the loop's thread when a batch of candidates has come, and when it was measured.
  std::function<void(const Candidates&)> on_candidates{};
  std::function<void(const Candidates&)> on_measured{};
};

struct AskTellResult {
  /// Candidates measured, and those of them that failed (nan).
  std::int64_t measured = 0;
  std::int64_t failed = 0;
  /// Rows that the server took as new.
  std::int64_t accepted = 0;
  StudyState state = StudyState::none;
  /// Whether the study has ended; false after a loop that its stop token ended.
  bool done = false;
};

}  // namespace blackbox_am
