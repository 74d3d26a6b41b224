#include "client_name.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>

namespace blackbox_am {

namespace {

constexpr int slots = 256;  // processes of one user and machine that have a name at the same time

std::string random_hex() {
  std::random_device device;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (int word = 0; word < 4; ++word) {
    auto value = static_cast<std::uint32_t>(device());
    for (int digit = 0; digit < 8; ++digit, value >>= 4) text += digits[value & 15];
  }
  return text;
}

std::string user_name() {
  for (const char* variable : {"LOGNAME", "USER", "LNAME", "USERNAME"}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return value;
  }
  const passwd* entry = getpwuid(getuid());
  return entry == nullptr ? "" : entry->pw_name;
}

std::string host_name() {
  std::array<char, 256> buffer{};
  return gethostname(buffer.data(), buffer.size() - 1) == 0 ? buffer.data() : "";
}

}  // namespace

ClientName::ClientName(std::optional<std::string> chosen)
    : session_(random_hex()), name_(std::move(chosen)) {}

ClientName::~ClientName() {
  if (file_ >= 0) close(file_);
}

std::string ClientName::name() {
  const std::lock_guard lock(mutex_);
  if (!name_) name_ = take();
  return *name_;
}

std::string ClientName::take() {
  const std::string user = user_name();
  if (user.empty()) return "";
  const char* temporary = std::getenv("TMPDIR");
  const std::string folder =
      (temporary != nullptr && *temporary != '\0' ? std::string(temporary) : "/tmp") +
      "/blackbox_am-clients-" + user;
  mkdir(folder.c_str(), S_IRWXU);  // the folder may exist
  for (int slot = 0; slot < slots; ++slot) {
    const std::string path = folder + "/" + std::to_string(slot);
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) return "";  // an anonymous client: its candidates become free with their lease
    if (flock(file, LOCK_EX | LOCK_NB) == 0) {
      file_ = file;
      return user + "@" + host_name() + "/" + std::to_string(slot);
    }
    close(file);
  }
  return "";
}

}  // namespace blackbox_am
