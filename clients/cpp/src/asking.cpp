#include <algorithm>
#include <limits>

#include "blackbox_am/study.hpp"
#include "chunks.hpp"
#include "connection.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

namespace {

using Studies = v1::StudyService::Stub;

constexpr Seconds shortest_wait{0.05};
constexpr std::size_t id_bytes = 8;

Candidates candidates_of(const v1::AskResponse& answer) {
  Candidates found;
  found.ids = {answer.candidate_ids().begin(), answer.candidate_ids().end()};
  found.targets = {answer.targets().begin(), answer.targets().end()};
  found.generation = answer.generation();
  found.latents = from_message(answer.latents(), "latents");
  if (answer.has_stimuli()) found.stimuli = from_message(answer.stimuli(), "stimuli");
  found.lease_id = answer.lease_id();
  found.lease = from_message(answer.lease_duration());
  found.state = static_cast<StudyState>(answer.state());
  found.done = answer.done();
  found.retry_after = from_message(answer.retry_after());
  const bool fits = found.targets.size() == found.size() && found.latents.rows() == found.size() &&
                    (!answer.has_stimuli() || found.stimuli.rows() == found.size());
  if (!fits) throw ServerFailed("the server sent candidates whose parts do not fit together");
  return found;
}

[[noreturn]] void wrong_count(std::size_t rows, const std::string& got) {
  throw ShapeMismatch("values: expected one number, or one row of numbers, for each of " +
                          std::to_string(rows) + " candidates, got " + got,
                      {.field = "values"});
}

}  // namespace

Candidate Candidates::operator[](std::size_t index) const {
  Candidate one;
  one.id = ids.at(index);
  one.target = targets.at(index);
  one.generation = generation;
  one.latent = latents.row(index);
  if (!stimuli.shape().empty()) one.stimulus = stimuli.row(index);
  return one;
}

Candidates Study::ask(const AskOptions& options) const {
  v1::AskRequest request;
  request.set_name(name_);
  request.set_max_candidates(options.max_candidates);
  request.set_with_stimuli(options.stimuli);
  request.set_stimulus_dtype(stimulus_dtype(options.dtype));
  *request.mutable_lease_duration() = to_message(options.lease, "lease_duration");
  request.set_client_id(connection_->name.name());
  request.set_session_id(connection_->name.session());
  const auto deadline = time_after(options.wait);
  while (true) {
    Candidates found = candidates_of(connection_->persist<v1::AskResponse>(
        connection_->studies, &Studies::Ask, request, options.reconnect, options.stop));
    const auto left = left_until(deadline);
    if (!found.empty() || found.done || (left && left->count() <= 0)) return found;
    const Seconds pause = std::max(found.retry_after, shortest_wait);
    sleep(left ? std::min(pause, *left) : pause, options.stop);
  }
}

TellResult Study::send(std::span<const std::uint64_t> ids, std::size_t row_bytes,
                       const FillRows& fill, const TellOptions& options) const {
  const std::size_t rows = std::max<std::size_t>(send_bytes / (id_bytes + row_bytes), 1);
  TellResult sum;
  std::size_t start = 0;
  do {  // once also without candidates: the answer has the state
    const std::size_t count = std::min(rows, ids.size() - start);
    const auto mine = ids.subspan(start, count);
    v1::TellRequest request;
    request.set_name(name_);
    request.mutable_candidate_ids()->Assign(mine.begin(), mine.end());
    fill(request, start, count);
    const auto told = connection_->persist<v1::TellResponse>(
        connection_->studies, &Studies::Tell, request, options.reconnect, options.stop);
    sum.accepted += told.accepted();
    sum.repeated += told.repeated();
    sum.state = static_cast<StudyState>(told.state());
    sum.done = told.done();
    sum.generation = told.generation();
    sum.sequence = told.sequence();
    start += count;
  } while (start < ids.size());
  return sum;
}

TellResult Study::tell(std::span<const std::uint64_t> ids, std::span<const double> scores,
                       const TellOptions& options) const {
  if (scores.size() != ids.size()) {
    wrong_count(ids.size(), std::to_string(scores.size()) + " numbers");
  }
  const auto fill = [&](v1::TellRequest& request, std::size_t start, std::size_t count) {
    const auto mine = scores.subspan(start, count);
    request.mutable_scores()->mutable_values()->Assign(mine.begin(), mine.end());
  };
  return send(ids, sizeof(double), fill, options);
}

TellResult Study::tell(std::span<const std::uint64_t> ids, const TensorView& values, Form form,
                       const TellOptions& options) const {
  const bool floats = values.dtype() == Dtype::float32 || values.dtype() == Dtype::float64;
  if (form == Form::scores && values.shape().size() == 1 && floats) {
    return tell(ids, values.to_doubles(), options);
  }
  if (form == Form::scores || values.shape().size() != 2 || values.rows() != ids.size() ||
      !floats) {
    wrong_count(ids.size(), std::string(name_of(values.dtype())) + " of shape " +
                                in_words(values.shape()));
  }
  const auto fill = [&](v1::TellRequest& request, std::size_t start, std::size_t count) {
    v1::Tensor* tensor =
        form == Form::all_units ? request.mutable_all_units() : request.mutable_activations();
    *tensor = to_message(values.rows(start, count));
  };
  return send(ids, values.bytes().size() / std::max<std::size_t>(ids.size(), 1), fill, options);
}

std::int32_t Study::renew(const std::string& lease_id, Seconds lease,
                          const CallOptions& options) const {
  v1::RenewLeaseRequest request;
  request.set_name(name_);
  request.set_lease_id(lease_id);
  *request.mutable_lease_duration() = to_message(lease, "lease_duration");
  return connection_
      ->call<v1::RenewLeaseResponse>(connection_->studies, &Studies::RenewLease, request, options)
      .held();
}

}  // namespace blackbox_am
