/// Values of the driver protocol in JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "blackbox_am/blackbox_am.hpp"

namespace driver {

using Json = nlohmann::json;

/// A request that the driver does not understand.
class DriverError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The arguments of a request. A missing argument is like one that is null.
class Arguments {
 public:
  explicit Arguments(const Json& object) : object_(object) {}

  [[nodiscard]] bool has(const std::string& name) const;
  /// Throws DriverError if it is missing.
  [[nodiscard]] const Json& at(const std::string& name) const;
  [[nodiscard]] std::string text(const std::string& name, std::string fallback = {}) const;
  [[nodiscard]] bool flag(const std::string& name) const;
  template <class T>
  [[nodiscard]] std::optional<T> number(const std::string& name) const {
    if (!has(name)) return {};
    return at(name).get<T>();
  }
  /// A double, which may be the text `NaN`.
  [[nodiscard]] std::optional<double> real(const std::string& name) const;
  [[nodiscard]] std::optional<blackbox_am::Seconds> seconds(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> texts(const std::string& name) const;

 private:
  const Json& object_;
};

[[nodiscard]] Json of_double(double value);
[[nodiscard]] double to_double(const Json& value);
[[nodiscard]] std::vector<double> to_doubles(const Json& list);
[[nodiscard]] Json of_doubles(std::span<const double> values);
[[nodiscard]] Json of_optional(const std::optional<double>& value);
/// 64-bit numbers travel as text.
[[nodiscard]] std::uint64_t to_id(const Json& value);
[[nodiscard]] std::int64_t to_seed(const Json& value);

[[nodiscard]] std::string to_base64(std::span<const std::byte> data);
[[nodiscard]] std::vector<std::byte> from_base64(const std::string& text);
[[nodiscard]] Json of_tensor(const blackbox_am::TensorView& tensor);
[[nodiscard]] blackbox_am::Tensor to_tensor(const Json& value);

[[nodiscard]] blackbox_am::StudySpec to_spec(const Json& value);
[[nodiscard]] Json of_study(const blackbox_am::StudyProgress& progress);
[[nodiscard]] Json of_event(const blackbox_am::Event& event);
[[nodiscard]] Json of_error(const std::exception_ptr& error);

}  // namespace driver
