/// Long byte strings in pieces of 1 MiB, and their joining.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "blackbox_am/tensor.hpp"
#include "blackbox_am/v1/tensor.pb.h"

namespace blackbox_am {

inline constexpr std::size_t chunk_bytes = 1 << 20;
/// Largest size of a request; larger ones are split, so that any server accepts them.
inline constexpr std::size_t send_bytes = 3 << 20;
/// Largest tensor that a server of this client takes in chunks, and that this client takes.
inline constexpr std::uint64_t max_served_bytes = std::uint64_t{1} << 29;
inline constexpr std::uint64_t max_received_bytes = std::uint64_t{1} << 32;

/// Calls `send` with each chunk of `data`, until it returns false. No call without data.
/// Returns whether all were sent.
bool split(std::span<const std::byte> data, const std::function<bool(v1::Chunk&)>& send);

/// Joins chunks in order.
class Joiner {
 public:
  /// `total` bytes are announced. Throws InvalidInput for more than `limit`.
  Joiner(std::uint64_t total, std::uint64_t limit);
  /// Throws InvalidInput with the field `chunk` for a damaged chunk, or another than the next one.
  void add(const v1::Chunk& chunk);
  /// Throws InvalidInput if bytes are missing.
  [[nodiscard]] std::vector<std::byte>&& result();

 private:
  std::uint64_t total_;
  std::vector<std::byte> data_;
};

/// Joins a tensor: first a header with its type and shape, then chunks.
class TensorJoiner {
 public:
  /// `field` is the name of the tensor, for messages.
  TensorJoiner(std::string field, std::uint64_t limit)
      : field_(std::move(field)), limit_(limit) {}
  /// Takes the header. Throws ShapeMismatch for one without a valid type and shape, InvalidInput
  /// for a second one or too many bytes.
  void start(const v1::Tensor& header);
  void add(const v1::Chunk& chunk);
  [[nodiscard]] bool started() const noexcept { return joiner_.has_value(); }
  /// Throws InvalidInput if the header or bytes are missing.
  [[nodiscard]] Tensor result();

 private:
  std::string field_;
  std::uint64_t limit_;
  Dtype dtype_ = Dtype::none;
  Shape shape_;
  std::optional<Joiner> joiner_;
};

}  // namespace blackbox_am
