/// Other programs in processes of their own, for tests.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace harness {

/// A folder that is removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Writes a file, and returns its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

/// A program; its output goes to a file. Killed at the end if it still runs.
class Program {
 public:
  Program(const std::vector<std::string>& command, std::string output);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const;
  [[nodiscard]] bool running();
  /// Waits for the end. Returns the exit code, or minus the signal that ended it. Fails after
  /// `seconds`.
  int wait(double seconds = 30.0);
  /// What it has printed so far.
  [[nodiscard]] std::string printed() const;
  /// Waits until it has printed a text. Fails after 60 s, or if it ends before.
  void await(const std::string& text);

 private:
  std::string output_;
  pid_t process_;
  bool ended_ = false;
  int code_ = 0;
};

/// `blackbox-am serve` with a tiny generator, and further lines of its configuration. It has the
/// same address and store when it starts again.
class Server {
 public:
  explicit Server(const std::string& more_config = "", std::vector<std::string> options = {});
  void start();
  /// kill -9.
  void kill();
  /// SIGTERM.
  void stop();
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] const Folder& folder() const noexcept { return folder_; }

 private:
  Folder folder_;
  std::vector<std::string> options_;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<Program> program_;
};

/// The Python of BLACKBOX_AM_PYTHON. Fails if it is not set.
[[nodiscard]] std::string python();

}  // namespace harness
