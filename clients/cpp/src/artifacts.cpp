#include "blackbox_am/client.hpp"
#include "chunks.hpp"
#include "connection.hpp"

namespace blackbox_am {

std::string Client::write_artifact(std::span<const std::byte> data,
                                   const CallOptions& options) const {
  Call call(*connection_, options.timeout.value_or(connection_->timeout), options.stop);
  v1::WriteArtifactResponse answer;
  const auto writer = connection_->studies->WriteArtifact(&call.context(), &answer);
  v1::WriteArtifactRequest part;
  if (data.empty()) {
    part.mutable_chunk();
    writer->Write(part);
  } else {
    split(data, [&](v1::Chunk& chunk) {
      part.mutable_chunk()->Swap(&chunk);
      const bool sent = writer->Write(part);
      part.mutable_chunk()->Swap(&chunk);
      return sent;
    });
  }
  writer->WritesDone();
  call.check(writer->Finish());
  return answer.digest();
}

std::vector<std::byte> Client::read_artifact(const std::string& digest,
                                             const CallOptions& options) const {
  Call call(*connection_, options.timeout.value_or(connection_->timeout), options.stop);
  v1::ReadArtifactRequest request;
  request.set_name("artifacts/" + digest);
  const auto reader = connection_->studies->ReadArtifact(&call.context(), request);
  std::optional<Joiner> joiner;
  v1::ReadArtifactResponse part;
  try {
    while (reader->Read(&part)) {
      if (!joiner) joiner.emplace(part.chunk().total_size(), max_received_bytes);
      joiner->add(part.chunk());
    }
  } catch (...) {
    call.context().TryCancel();
    reader->Finish();  // its status is that of our own cancellation
    throw;
  }
  call.check(reader->Finish());
  if (!joiner) return {};
  return joiner->result();
}

}  // namespace blackbox_am
