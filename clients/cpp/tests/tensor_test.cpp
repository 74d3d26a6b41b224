#include <array>
#include <limits>

#include "blackbox_am/errors.hpp"
#include "blackbox_am/tensor.hpp"
#include "harness.hpp"

namespace bam = blackbox_am;

TEST(rows_are_views_of_the_array) {
  const std::array<float, 6> values{1, 2, 3, 4, 5, 6};
  const bam::Tensor tensor = bam::Tensor::of<float>({2, 3}, values);
  CHECK_EQUAL(tensor.rows(), std::size_t{2});
  CHECK_EQUAL(tensor.row(1).as<float>()[2], 6.0F);
  CHECK_EQUAL(bam::in_words(tensor.row(0).shape()), "(3,)");
  CHECK(tensor.row(1).bytes().data() == tensor.bytes().data() + 12);
  CHECK_EQUAL(tensor.view().rows(1, 1).as<float>()[0], 4.0F);
  CHECK_THROWS(std::out_of_range, "row 2 of an array with 2 rows", tensor.row(2));
  CHECK_THROWS(std::out_of_range, "", tensor.view().rows(1, 2));
}

TEST(another_type_is_refused) {
  const bam::Tensor tensor(bam::Dtype::uint8, {2});
  CHECK_THROWS(bam::ShapeMismatch, "expected an array of float32, got one of uint8",
               tensor.as<float>());
  CHECK_EQUAL(tensor.view().to_doubles().size(), std::size_t{2});
  CHECK_THROWS(bam::ShapeMismatch, "float16",
               bam::Tensor(bam::Dtype::float16, {2}).view().to_doubles());
}

TEST(bytes_must_fit_to_the_shape) {
  const std::array<std::byte, 5> bytes{};
  CHECK_THROWS(bam::ShapeMismatch, "has 8 bytes, got 5",
               bam::Tensor(bam::Dtype::float32, {2}, std::span<const std::byte>(bytes)));
  CHECK_THROWS(bam::ShapeMismatch, "got type number 99", bam::Tensor(bam::Dtype(99), {2}));
}

TEST(impossible_shapes_are_refused) {
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK_THROWS(bam::ShapeMismatch, "lengths of 0 or more", bam::count_of({2, -1}));
  CHECK_THROWS(bam::ShapeMismatch, "too many elements", bam::count_of({huge, 2}));
  CHECK_THROWS(bam::ShapeMismatch, "too large", bam::Tensor(bam::Dtype::float64, {huge}));
  CHECK_EQUAL(bam::count_of({huge, huge, 0}), std::size_t{0});
  CHECK_EQUAL(bam::count_of({}), std::size_t{1});
}

TEST(names_of_types) {
  CHECK_EQUAL(bam::name_of(bam::dtype_of("int64")), "int64");
  CHECK_EQUAL(bam::name_of(bam::Dtype(7)), "unknown");
  CHECK_EQUAL(CHECK_THROWS(bam::InvalidInput, "got 'float'", bam::dtype_of("float")).field(), "dtype");
}
