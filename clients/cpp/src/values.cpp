#include <cmath>
#include <cstring>

#include "blackbox_am/errors.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

std::size_t bytes_of(Dtype dtype, const Shape& shape, const std::string& field) {
  const std::size_t size = size_of(dtype);
  if (size == 0) {
    throw ShapeMismatch(field + ": expected float32, float64, float16, uint8, int32 or int64, got "
                                "type number " +
                            std::to_string(static_cast<int>(dtype)),
                        {.field = field});
  }
  try {
    const std::size_t count = count_of(shape);
    if (count > (std::size_t{1} << 62) / size) throw ShapeMismatch("too many bytes");
    return count * size;
  } catch (const ShapeMismatch& error) {
    throw ShapeMismatch(field + ": " + error.what(), {.field = field});
  }
}

TensorView view_of(const v1::Tensor& tensor, const std::string& field) {
  const auto dtype = static_cast<Dtype>(tensor.dtype());
  Shape shape(tensor.shape().begin(), tensor.shape().end());
  const std::size_t expected = bytes_of(dtype, shape, field);
  if (tensor.data().size() != expected) {
    throw ShapeMismatch(field + ": " + std::string(name_of(dtype)) + " of shape " +
                            in_words(shape) + " has " + std::to_string(expected) +
                            " bytes, got " + std::to_string(tensor.data().size()),
                        {.field = field});
  }
  return {dtype, std::move(shape), std::as_bytes(std::span(tensor.data()))};
}

Tensor from_message(const v1::Tensor& tensor, const std::string& field) {
  return Tensor(view_of(tensor, field));
}

v1::Tensor to_message(const TensorView& tensor) {
  v1::Tensor message;
  message.set_dtype(static_cast<v1::Dtype>(tensor.dtype()));
  message.mutable_shape()->Assign(tensor.shape().begin(), tensor.shape().end());
  message.set_data(tensor.bytes().data(), tensor.bytes().size());
  return message;
}

v1::Dtype stimulus_dtype(Dtype dtype) {
  if (dtype != Dtype::uint8 && dtype != Dtype::float32) {
    throw InvalidInput(
        "dtype: expected uint8 or float32 for stimuli, got " + std::string(name_of(dtype)),
        {.field = "dtype"});
  }
  return static_cast<v1::Dtype>(dtype);
}

google::protobuf::Duration to_message(Seconds seconds, const std::string& field) {
  constexpr double longest = 3.0e11;  // of the message, about 10,000 years
  if (!(std::abs(seconds.count()) <= longest)) {  // nan, too
    throw InvalidInput(field + ": expected a number of seconds up to 3e11, got " +
                           std::to_string(seconds.count()),
                       {.field = field});
  }
  const auto nanos = static_cast<std::int64_t>(
      std::llround((seconds.count() - std::trunc(seconds.count())) * 1e9));
  auto whole = static_cast<std::int64_t>(std::trunc(seconds.count()));
  whole += nanos / 1'000'000'000;
  google::protobuf::Duration message;
  message.set_seconds(whole);
  message.set_nanos(static_cast<std::int32_t>(nanos % 1'000'000'000));
  return message;
}

Seconds from_message(const google::protobuf::Duration& duration) {
  return Seconds(static_cast<double>(duration.seconds()) + duration.nanos() * 1e-9);
}

std::chrono::system_clock::time_point from_message(const google::protobuf::Timestamp& time) {
  using std::chrono::nanoseconds;
  using std::chrono::seconds;
  using Clock = std::chrono::system_clock;
  return Clock::time_point(std::chrono::duration_cast<Clock::duration>(
      seconds(time.seconds()) + nanoseconds(time.nanos())));
}

std::string study_name(const std::string& id) {
  const bool known = !id.empty() && id.size() <= 63 && id.front() >= 'a' && id.front() <= 'z' &&
                     id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
                         std::string::npos;
  if (!known) {
    throw InvalidInput("a study id has 1 to 63 characters, a small letter first, then small "
                       "letters, digits and hyphens; got '" +
                           id.substr(0, 80) + "'",
                       {.field = "study_id"});
  }
  return "studies/" + id;
}

std::string study_id(const std::string& name) {
  const auto slash = name.find('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

}  // namespace blackbox_am
