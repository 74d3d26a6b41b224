#include "chunks.hpp"

#include <algorithm>

#include "blackbox_am/errors.hpp"
#include "crc32c.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

namespace {

[[noreturn]] void wrong(const std::string& text) { throw InvalidInput(text, {.field = "chunk"}); }

}  // namespace

bool split(std::span<const std::byte> data, const std::function<bool(v1::Chunk&)>& send) {
  v1::Chunk chunk;
  chunk.set_total_size(data.size());
  for (std::size_t at = 0; at < data.size(); at += chunk_bytes) {
    const auto piece = data.subspan(at, std::min(chunk_bytes, data.size() - at));
    chunk.set_offset(at);
    chunk.set_data(piece.data(), piece.size());
    chunk.set_crc32c(crc32c(piece));
    if (!send(chunk)) return false;
  }
  return true;
}

Joiner::Joiner(std::uint64_t total, std::uint64_t limit) : total_(total) {
  if (total > limit) {
    wrong("a stream of " + std::to_string(total) + " bytes is announced, at most " +
          std::to_string(limit) + " are taken; send fewer rows at a time");
  }
}

void Joiner::add(const v1::Chunk& chunk) {
  const auto data = std::as_bytes(std::span(chunk.data()));
  if (chunk.offset() != data_.size() || chunk.total_size() != total_) {
    wrong("expected the chunk at offset " + std::to_string(data_.size()) + " of " +
          std::to_string(total_) + " bytes, got offset " + std::to_string(chunk.offset()) + " of " +
          std::to_string(chunk.total_size()) + "; send the chunks in order");
  }
  if (data.size() > total_ - data_.size()) {
    wrong("the chunks hold more than the " + std::to_string(total_) + " bytes announced");
  }
  if (chunk.has_crc32c() && crc32c(data) != chunk.crc32c()) {
    wrong("the chunk at offset " + std::to_string(chunk.offset()) +
          " is damaged: its crc32c does not match; send it again");
  }
  if (data_.empty()) data_.reserve(total_);  // only once data comes: an announcement costs nothing
  data_.insert(data_.end(), data.begin(), data.end());
}

std::vector<std::byte>&& Joiner::result() {
  if (data_.size() != total_) {
    wrong("the stream ended after " + std::to_string(data_.size()) + " of " +
          std::to_string(total_) + " bytes");
  }
  return std::move(data_);
}

void TensorJoiner::start(const v1::Tensor& header) {
  if (started()) throw InvalidInput("expected one header, then chunks; got a second header");
  dtype_ = static_cast<Dtype>(header.dtype());
  shape_ = {header.shape().begin(), header.shape().end()};
  joiner_.emplace(bytes_of(dtype_, shape_, field_), limit_);
}

void TensorJoiner::add(const v1::Chunk& chunk) {
  if (!started()) throw InvalidInput("expected a header first, then chunks; got a chunk before it");
  joiner_->add(chunk);
}

Tensor TensorJoiner::result() {
  if (!started()) throw InvalidInput("the stream held no header; send the header, then chunks");
  return Tensor(dtype_, std::move(shape_), joiner_->result());
}

}  // namespace blackbox_am
