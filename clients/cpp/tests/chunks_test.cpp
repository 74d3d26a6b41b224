#include "chunks.hpp"

#include <algorithm>
#include <string>

#include "blackbox_am/errors.hpp"
#include "crc32c.hpp"
#include "harness.hpp"

namespace bam = blackbox_am;

namespace {

std::vector<bam::v1::Chunk> chunks_of(std::span<const std::byte> data) {
  std::vector<bam::v1::Chunk> chunks;
  bam::split(data, [&](bam::v1::Chunk& chunk) {
    chunks.push_back(chunk);
    return true;
  });
  return chunks;
}

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> data(count);
  for (std::size_t i = 0; i < count; ++i) data[i] = static_cast<std::byte>(i * 31 % 251);
  return data;
}

constexpr std::size_t count = (5 << 20) / 2 + 3;

}  // namespace

TEST(the_checksum_is_that_of_castagnoli) {
  const std::string text = "123456789";
  CHECK_EQUAL(bam::crc32c(std::as_bytes(std::span(text))), 0xE3069283U);
  CHECK_EQUAL(bam::crc32c({}), 0U);
}

TEST(pieces_join_to_the_whole) {
  const auto data = some_bytes(count);
  const auto chunks = chunks_of(data);
  CHECK_EQUAL(chunks.size(), std::size_t{3});
  bam::Joiner joiner(count, count);
  for (const auto& chunk : chunks) joiner.add(chunk);
  CHECK(joiner.result() == data);
  CHECK(chunks_of({}).empty());
}

TEST(damaged_chunks_are_refused) {
  auto chunk = chunks_of(some_bytes(count)).front();
  chunk.mutable_data()->at(7) ^= 1;
  const auto error =
      CHECK_THROWS(bam::InvalidInput, "is damaged", bam::Joiner(count, count).add(chunk));
  CHECK_EQUAL(error.field(), "chunk");
  chunk.clear_crc32c();
  bam::Joiner(count, count).add(chunk);  // without a checksum nothing is checked
}

TEST(other_orders_and_sizes_are_refused) {
  const auto chunks = chunks_of(some_bytes(count));
  CHECK_THROWS(bam::InvalidInput, "in order", bam::Joiner(count, count).add(chunks[1]));
  CHECK_THROWS(bam::InvalidInput, "in order", bam::Joiner(count + 1, count + 1).add(chunks[0]));
  CHECK_THROWS(bam::InvalidInput, "at most 10 are taken", bam::Joiner(11, 10));
  bam::Joiner partial(count, count);
  partial.add(chunks[0]);
  CHECK_THROWS(bam::InvalidInput, "ended after 1048576 of", partial.result());
  bam::v1::Chunk too_long = chunks[0];
  too_long.clear_crc32c();
  too_long.set_total_size(3);
  CHECK_THROWS(bam::InvalidInput, "more than the 3 bytes", bam::Joiner(3, 10).add(too_long));
}

TEST(a_tensor_begins_with_its_header) {
  bam::TensorJoiner joiner("latents", 1000);
  const auto data = some_bytes(8);
  CHECK_THROWS(bam::InvalidInput, "a header first", joiner.add(chunks_of(data).front()));
  CHECK_THROWS(bam::InvalidInput, "no header", joiner.result());
  bam::v1::Tensor header;
  CHECK_THROWS(bam::ShapeMismatch, "latents: ", joiner.start(header));
  header.set_dtype(bam::v1::DTYPE_FLOAT32);
  header.add_shape(2);
  joiner.start(header);
  CHECK_THROWS(bam::InvalidInput, "a second header", joiner.start(header));
  joiner.add(chunks_of(data).front());
  CHECK_EQUAL(joiner.result().as<float>().size(), std::size_t{2});
}
