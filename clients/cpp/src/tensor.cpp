#include "blackbox_am/tensor.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "blackbox_am/errors.hpp"

namespace blackbox_am {

static_assert(std::endian::native == std::endian::little,
              "arrays on the wire are little-endian; this machine needs a conversion");

namespace {

struct DtypeInfo {
  Dtype dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<DtypeInfo, 6> dtypes{{{Dtype::float32, "float32", 4},
                                           {Dtype::float64, "float64", 8},
                                           {Dtype::float16, "float16", 2},
                                           {Dtype::uint8, "uint8", 1},
                                           {Dtype::int32, "int32", 4},
                                           {Dtype::int64, "int64", 8}}};

const DtypeInfo* find(Dtype dtype) {
  for (const DtypeInfo& info : dtypes) {
    if (info.dtype == dtype) return &info;
  }
  return nullptr;
}

template <class T>
std::vector<double> doubles(std::span<const T> values) {
  return {values.begin(), values.end()};
}

std::size_t checked_bytes(Dtype dtype, const Shape& shape) {
  const std::size_t size = size_of(dtype);
  if (size == 0) {
    throw ShapeMismatch("expected an array of a known type, got type number " +
                        std::to_string(static_cast<int>(dtype)));
  }
  const std::size_t count = count_of(shape);
  if (count > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / size) {
    throw ShapeMismatch("an array of shape " + in_words(shape) + " is too large for this machine");
  }
  return count * size;
}

}  // namespace

std::string_view name_of(Dtype dtype) noexcept {
  const DtypeInfo* info = find(dtype);
  return info == nullptr ? "unknown" : info->name;
}

Dtype dtype_of(std::string_view name) {
  for (const DtypeInfo& info : dtypes) {
    if (info.name == name) return info.dtype;
  }
  throw InvalidInput(
      "dtype: expected float32, float64, float16, uint8, int32 or int64, got '" +
          std::string(name) + "'",
      {.field = "dtype"});
}

std::size_t size_of(Dtype dtype) noexcept {
  const DtypeInfo* info = find(dtype);
  return info == nullptr ? 0 : info->size;
}

std::string in_words(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::size_t count_of(const Shape& shape) {
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t length : shape) {
    if (length < 0) {
      throw ShapeMismatch("expected lengths of 0 or more, got shape " + in_words(shape));
    }
    empty = empty || length == 0;
  }
  if (empty) return 0;
  for (const std::int64_t length : shape) {
    if (count > largest / length) {
      throw ShapeMismatch("an array of shape " + in_words(shape) + " has too many elements");
    }
    count *= length;
  }
  return static_cast<std::size_t>(count);
}

std::size_t TensorView::rows() const noexcept {
  return shape_.empty() ? 0 : static_cast<std::size_t>(shape_.front());
}

void TensorView::check(Dtype expected) const {
  if (expected != dtype_) {
    throw ShapeMismatch("expected an array of " + std::string(name_of(expected)) +
                        ", got one of " + std::string(name_of(dtype_)));
  }
}

std::vector<double> TensorView::to_doubles() const {
  switch (dtype_) {
    case Dtype::float32:
      return doubles(as<float>());
    case Dtype::float64:
      return doubles(as<double>());
    case Dtype::uint8:
      return doubles(as<std::uint8_t>());
    case Dtype::int32:
      return doubles(as<std::int32_t>());
    case Dtype::int64:
      return doubles(as<std::int64_t>());
    case Dtype::none:
    case Dtype::float16:
      break;
  }
  throw ShapeMismatch("an array of " + std::string(name_of(dtype_)) +
                      " cannot be converted to doubles");
}

TensorView TensorView::rows(std::size_t first, std::size_t count) const {
  if (first > rows() || count > rows() - first) {
    throw std::out_of_range("rows " + std::to_string(first) + " to " +
                            std::to_string(first + count) + " of an array with " +
                            std::to_string(rows()) + " rows");
  }
  const std::size_t size = rows() == 0 ? 0 : bytes_.size() / rows();
  Shape shape = shape_;
  shape.front() = static_cast<std::int64_t>(count);
  return {dtype_, std::move(shape), bytes_.subspan(first * size, count * size)};
}

TensorView TensorView::row(std::size_t index) const {
  if (index >= rows()) {
    throw std::out_of_range("row " + std::to_string(index) + " of an array with " +
                            std::to_string(rows()) + " rows");
  }
  const std::size_t size = bytes_.size() / rows();
  return {dtype_, Shape(shape_.begin() + 1, shape_.end()), bytes_.subspan(index * size, size)};
}

Tensor::Tensor(Dtype dtype, Shape shape)
    : dtype_(dtype), shape_(std::move(shape)), bytes_(checked_bytes(dtype_, shape_)) {}

Tensor::Tensor(Dtype dtype, Shape shape, std::vector<std::byte>&& bytes)
    : dtype_(dtype), shape_(std::move(shape)), bytes_(std::move(bytes)) {
  const std::size_t expected = checked_bytes(dtype_, shape_);
  if (bytes_.size() != expected) {
    throw ShapeMismatch("an array of " + std::string(name_of(dtype_)) + " of shape " +
                        in_words(shape_) + " has " + std::to_string(expected) + " bytes, got " +
                        std::to_string(bytes_.size()));
  }
}

Tensor::Tensor(Dtype dtype, Shape shape, std::span<const std::byte> bytes)
    : Tensor(dtype, std::move(shape), std::vector<std::byte>(bytes.begin(), bytes.end())) {}

Tensor::Tensor(const TensorView& view) : Tensor(view.dtype(), view.shape(), view.bytes()) {}

}  // namespace blackbox_am
