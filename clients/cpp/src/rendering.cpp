#include <algorithm>

#include "blackbox_am/client.hpp"
#include "chunks.hpp"
#include "connection.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

namespace {

constexpr std::size_t rows_a_call = 64;  // a slow generator needs its time for each of them

/// Reads a tensor: a header, then chunks. `header` returns the tensor in a header.
template <class Response, class Header>
Tensor received(Call& call, grpc::ClientReader<Response>& reader, const std::string& field,
                Header header) {
  TensorJoiner joiner(field, max_received_bytes);
  Response part;
  try {
    while (reader.Read(&part)) {
      if (part.has_chunk()) {
        joiner.add(part.chunk());
      } else if (part.has_header()) {
        joiner.start(header(part.header()));
      }
    }
  } catch (...) {
    call.context().TryCancel();
    reader.Finish();  // its status is that of our own cancellation
    throw;
  }
  call.check(reader.Finish());
  return joiner.result();
}

/// Joins arrays that differ in the length of their first axis only.
class Rows {
 public:
  void add(const Tensor& piece) {
    if (shape_.empty()) {
      dtype_ = piece.dtype();
      shape_ = piece.shape();
      if (!shape_.empty()) shape_.front() = 0;
    }
    Shape same = piece.shape();
    if (!same.empty()) same.front() = shape_.front();
    if (piece.shape().empty() || same != shape_ || piece.dtype() != dtype_) {
      throw ServerFailed("the server's pieces of one array do not fit together");
    }
    shape_.front() += piece.shape().front();
    bytes_.insert(bytes_.end(), piece.bytes().begin(), piece.bytes().end());
  }
  Tensor result() { return Tensor(dtype_, std::move(shape_), std::move(bytes_)); }

 private:
  Dtype dtype_ = Dtype::none;
  Shape shape_;
  std::vector<std::byte> bytes_;
};

Tensor render_piece(const Connection& connection, const v1::RenderRequest& request,
                    const CallOptions& options) {
  Call call(connection, options.timeout.value_or(connection.timeout), options.stop);
  const auto reader = connection.catalog->Render(&call.context(), request);
  return received(call, *reader, "stimuli",
                  [](const v1::RenderHeader& header) { return header.stimuli(); });
}

/// The activations for one stimulus that is too large for a message.
Tensor observe_stream(const Connection& connection, const v1::ObserveRequest& request,
                      const TensorView& stimuli, const CallOptions& options) {
  Call call(connection, options.timeout.value_or(connection.timeout), options.stop);
  const auto stream = connection.oracles->ObserveStream(&call.context());
  v1::ObserveStreamRequest part;
  *part.mutable_header() = request;
  v1::Tensor* announced = part.mutable_header()->mutable_stimuli();
  announced->set_dtype(static_cast<v1::Dtype>(stimuli.dtype()));
  announced->mutable_shape()->Assign(stimuli.shape().begin(), stimuli.shape().end());
  if (stream->Write(part)) {
    split(stimuli.bytes(), [&](v1::Chunk& chunk) {
      part.mutable_chunk()->Swap(&chunk);
      const bool sent = stream->Write(part);
      part.mutable_chunk()->Swap(&chunk);
      return sent;
    });
  }
  stream->WritesDone();
  TensorJoiner joiner("activations", max_received_bytes);
  v1::ObserveStreamResponse answer;
  try {
    while (stream->Read(&answer)) {
      if (answer.has_chunk()) {
        joiner.add(answer.chunk());
      } else if (answer.has_header()) {
        joiner.start(answer.header().activations());
      }
    }
  } catch (...) {
    call.context().TryCancel();
    stream->Finish();  // its status is that of our own cancellation
    throw;
  }
  call.check(stream->Finish());
  return joiner.result();
}

Tensor observe_piece(const Connection& connection, v1::ObserveRequest& request,
                     const TensorView& stimuli, const CallOptions& options) {
  if (stimuli.bytes().size() > send_bytes) {
    request.clear_stimuli();
    return observe_stream(connection, request, stimuli, options);
  }
  *request.mutable_stimuli() = to_message(stimuli);
  const auto answer = connection.call<v1::ObserveResponse>(
      connection.oracles, &v1::OracleService::Stub::Observe, request, options);
  return from_message(answer.activations(), "activations");
}

}  // namespace

Tensor Client::sample(const std::string& generator, std::int32_t count, std::int64_t seed,
                      const CallOptions& options) const {
  v1::SampleRequest request;
  request.set_generator(generator);
  request.set_count(count);
  request.set_seed(seed);
  Call call(*connection_, options.timeout.value_or(connection_->timeout), options.stop);
  const auto reader = connection_->catalog->Sample(&call.context(), request);
  return received(call, *reader, "latents",
                  [](const v1::SampleHeader& header) { return header.latents(); });
}

Tensor Client::render(const std::string& generator, const TensorView& latents,
                      const RenderOptions& how, const CallOptions& options) const {
  v1::RenderRequest request;
  request.set_generator(generator);
  request.set_stimulus_dtype(stimulus_dtype(how.dtype));
  const std::size_t rows = latents.rows();
  const bool each = how.targets.size() == rows && rows != 1;
  if (!how.targets.empty() && how.targets.size() != 1 && !each) {
    throw InvalidInput("targets: expected one for each of " + std::to_string(rows) +
                           " rows, or one for all, got " + std::to_string(how.targets.size()),
                       {.field = "targets"});
  }
  if (!each) request.mutable_targets()->Assign(how.targets.begin(), how.targets.end());
  Rows found;
  const std::size_t row_bytes = std::max<std::size_t>(latents.bytes().size() / std::max<std::size_t>(rows, 1), 1);
  const std::size_t step = std::clamp<std::size_t>(send_bytes / row_bytes, 1, rows_a_call);
  std::size_t start = 0;
  do {  // once also without rows: the server's error says what it expects
    const std::size_t count = std::min(step, rows - start);
    *request.mutable_latents() =
        to_message(latents.shape().empty() ? latents : latents.rows(start, count));
    if (each) {
      const auto first = how.targets.begin() + static_cast<std::ptrdiff_t>(start);
      request.mutable_targets()->Assign(first, first + static_cast<std::ptrdiff_t>(count));
    }
    found.add(render_piece(*connection_, request, options));
    start += count;
  } while (start < rows);
  return found.result();
}

Tensor Client::observe(const std::string& oracle, const TensorView& stimuli,
                       const std::vector<std::string>& units, const CallOptions& options) const {
  if (stimuli.dtype() != Dtype::uint8 && stimuli.dtype() != Dtype::float32 &&
      stimuli.dtype() != Dtype::float64) {
    throw ShapeMismatch("stimuli: expected uint8, float32 or float64, got " +
                            std::string(name_of(stimuli.dtype())),
                        {.field = "stimuli"});
  }
  v1::ObserveRequest request;
  request.set_oracle(oracle);
  request.mutable_units()->Assign(units.begin(), units.end());
  const std::size_t rows = stimuli.rows();
  const std::size_t row_bytes =
      std::max<std::size_t>(stimuli.bytes().size() / std::max<std::size_t>(rows, 1), 1);
  const std::size_t step = std::max<std::size_t>(send_bytes / row_bytes, 1);
  Rows found;
  std::size_t start = 0;
  do {
    const std::size_t count = std::min(step, rows - start);
    found.add(observe_piece(
        *connection_, request,
        stimuli.shape().empty() ? stimuli : stimuli.rows(start, count), options));
    start += count;
  } while (start < rows);
  return found.result();
}

}  // namespace blackbox_am
