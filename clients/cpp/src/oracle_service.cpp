#include "oracle_service.hpp"

#include <functional>

#include "blackbox_am/errors.hpp"
#include "chunks.hpp"
#include "messages_internal.hpp"
#include "status.hpp"

namespace blackbox_am {

namespace {

/// Carries a call out. Returns the status of the error that it ends with.
grpc::Status guarded(const std::function<void()>& work) {
  try {
    work();
    return grpc::Status::OK;
  } catch (const Error& error) {
    return to_status(error);
  } catch (const std::bad_alloc&) {
    return to_status(OutOfMemory("the batch does not fit into memory; send fewer rows at a time"));
  } catch (const std::exception& error) {
    return to_status(ServerFailed(std::string("the server of the oracle failed: ") + error.what()));
  }
}

std::vector<std::string> units_of(const v1::ObserveRequest& request) {
  return {request.units().begin(), request.units().end()};
}

}  // namespace

void OracleServiceImpl::check_name(const std::string& asked) const {
  if (!asked.empty() && asked != name_) {
    throw NotFound("this server has no oracle '" + asked + "'; it has '" + name_ + "'",
                   {.field = "oracle"});
  }
}

grpc::Status OracleServiceImpl::DescribeOracle(grpc::ServerContext* /*context*/,
                                               const v1::DescribeOracleRequest* request,
                                               v1::DescribeOracleResponse* response) {
  return guarded([&] {
    check_name(request->oracle());
    *response = to_message(observer_.description(), request->oracle());
  });
}

grpc::Status OracleServiceImpl::Observe(grpc::ServerContext* /*context*/,
                                        const v1::ObserveRequest* request,
                                        v1::ObserveResponse* response) {
  return guarded([&] {
    check_name(request->oracle());
    const TensorView stimuli = view_of(request->stimuli(), "stimuli");
    *response->mutable_activations() =
        to_message(observer_.observe(stimuli, units_of(*request), 0));
  });
}

void OracleServiceImpl::serve(Stream* stream) {
  TensorJoiner joiner("stimuli", max_served_bytes);
  std::vector<std::string> units;
  v1::ObserveStreamRequest part;
  while (stream->Read(&part)) {
    if (part.has_chunk()) {
      joiner.add(part.chunk());
    } else if (part.has_header()) {
      const v1::Tensor& announced = part.header().stimuli();
      joiner.start(announced);
      check_name(part.header().oracle());
      observer_.check_stimuli(static_cast<Dtype>(announced.dtype()),
                              {announced.shape().begin(), announced.shape().end()});
      units = units_of(part.header());
    } else {
      throw InvalidInput("expected a header first, then chunks; got a part without either");
    }
  }
  const Tensor stimuli = joiner.result();
  const Tensor found = observer_.observe(
      stimuli, units, static_cast<std::size_t>(observer_.description().batch_size));
  v1::ObserveStreamResponse answer;
  v1::Tensor* announced = answer.mutable_header()->mutable_activations();
  announced->set_dtype(static_cast<v1::Dtype>(found.dtype()));
  announced->mutable_shape()->Assign(found.shape().begin(), found.shape().end());
  if (!stream->Write(answer)) return;
  split(found.bytes(), [&](v1::Chunk& chunk) {
    *answer.mutable_chunk() = chunk;
    return stream->Write(answer);
  });
}

grpc::Status OracleServiceImpl::ObserveStream(grpc::ServerContext* /*context*/, Stream* stream) {
  return guarded([&] { serve(stream); });
}

}  // namespace blackbox_am
