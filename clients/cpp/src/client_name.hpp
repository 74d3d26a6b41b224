/// The name of a client for leases; a program that starts again has the same name.
#pragma once

#include <mutex>
#include <optional>
#include <string>

namespace blackbox_am {

/// The server keeps the leases of a program that was killed. A program that starts under the same
/// name gets its candidates back at once. The name is that of a numbered file, which the process
/// locks until it ends: two processes that run at the same time have different names. The files
/// are those of the Python client.
class ClientName {
 public:
  /// `chosen`: a name chosen by the user; then no file is locked.
  explicit ClientName(std::optional<std::string> chosen);
  ~ClientName();
  ClientName(const ClientName&) = delete;
  ClientName& operator=(const ClientName&) = delete;

  /// The name, taken at the first call. Empty if none can be had.
  [[nodiscard]] std::string name();
  /// Identifies this run of the client.
  [[nodiscard]] const std::string& session() const noexcept { return session_; }

 private:
  [[nodiscard]] std::string take();

  std::string session_;
  std::mutex mutex_;
  std::optional<std::string> name_;
  int file_ = -1;
};

}  // namespace blackbox_am
