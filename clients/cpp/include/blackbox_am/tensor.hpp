/// Arrays: row-major, in the byte order of the wire, which is that of this machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blackbox_am {

/// The type of the elements of an array. The numbers are those of the wire.
enum class Dtype { none = 0, float32 = 1, float64 = 2, float16 = 3, uint8 = 4, int32 = 5, int64 = 6 };

/// The name of a type, such as `float32`; `unknown` for a number without a name.
[[nodiscard]] std::string_view name_of(Dtype dtype) noexcept;
/// The type with this name. Throws InvalidInput for an unknown name.
[[nodiscard]] Dtype dtype_of(std::string_view name);
/// Bytes of one element; 0 for an unknown type.
[[nodiscard]] std::size_t size_of(Dtype dtype) noexcept;

/// The type of an array of T.
template <class T>
inline constexpr Dtype dtype_for = Dtype::none;
template <>
inline constexpr Dtype dtype_for<float> = Dtype::float32;
template <>
inline constexpr Dtype dtype_for<double> = Dtype::float64;
template <>
inline constexpr Dtype dtype_for<std::uint8_t> = Dtype::uint8;
template <>
inline constexpr Dtype dtype_for<std::int32_t> = Dtype::int32;
template <>
inline constexpr Dtype dtype_for<std::int64_t> = Dtype::int64;

using Shape = std::vector<std::int64_t>;

/// A shape in words, such as `(3, 4)`.
[[nodiscard]] std::string in_words(const Shape& shape);
/// Number of elements of an array of this shape. Throws ShapeMismatch for a negative length, or
/// a product that does not fit into 63 bits.
[[nodiscard]] std::size_t count_of(const Shape& shape);

/// A view of an array, or of some rows of one. It does not own the elements.
class TensorView {
 public:
  TensorView() = default;
  TensorView(Dtype dtype, Shape shape, std::span<const std::byte> bytes)
      : dtype_(dtype), shape_(std::move(shape)), bytes_(bytes) {}

  [[nodiscard]] Dtype dtype() const noexcept { return dtype_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  /// Length of the first axis; 0 for an array without axes.
  [[nodiscard]] std::size_t rows() const noexcept;

  /// The elements. Throws ShapeMismatch if they are not of type T.
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    check(dtype_for<T>);
    return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  /// The elements as doubles, whatever their type is. Throws ShapeMismatch for float16.
  [[nodiscard]] std::vector<double> to_doubles() const;
  /// Row number `index`, without the first axis. Throws std::out_of_range.
  [[nodiscard]] TensorView row(std::size_t index) const;
  /// `count` rows from number `first` on. Throws std::out_of_range.
  [[nodiscard]] TensorView rows(std::size_t first, std::size_t count) const;

 private:
  void check(Dtype expected) const;

  Dtype dtype_ = Dtype::none;
  Shape shape_;
  std::span<const std::byte> bytes_;
};

/// An array that owns its elements.
class Tensor {
 public:
  Tensor() = default;
  /// An array of zeros.
  Tensor(Dtype dtype, Shape shape);
  /// Throws ShapeMismatch if `bytes` is not of the size that type and shape need.
  Tensor(Dtype dtype, Shape shape, std::span<const std::byte> bytes);
  Tensor(Dtype dtype, Shape shape, std::vector<std::byte>&& bytes);
  /// A copy of what `view` shows.
  explicit Tensor(const TensorView& view);
  /// An array of a copy of `values`. Throws ShapeMismatch for another number of values.
  template <class T>
  [[nodiscard]] static Tensor of(Shape shape, std::span<const T> values) {
    return Tensor(dtype_for<T>, std::move(shape), std::as_bytes(values));
  }

  [[nodiscard]] Dtype dtype() const noexcept { return dtype_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  [[nodiscard]] std::size_t rows() const noexcept { return view().rows(); }
  [[nodiscard]] TensorView view() const { return {dtype_, shape_, bytes_}; }
  operator TensorView() const { return view(); }  // NOLINT: a view is cheap
  [[nodiscard]] TensorView row(std::size_t index) const { return view().row(index); }
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return view().as<T>();
  }
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return bytes_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  Dtype dtype_ = Dtype::none;
  Shape shape_;
  std::vector<std::byte> bytes_;  // as allocated by operator new: aligned for every type
};

}  // namespace blackbox_am
