#include "pem.hpp"

#include <fstream>
#include <sstream>

#include "blackbox_am/errors.hpp"

namespace blackbox_am {

namespace {

std::string read(const std::string& path, const std::string& field) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text) {
    throw InvalidInput(field + ": cannot read the file " + path + ", or it is empty",
                       {.field = field});
  }
  return text.str();
}

}  // namespace

std::string read_certificates(const std::string& path, const std::string& field) {
  std::string text = read(path, field);
  if (text.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    throw InvalidInput(field + ": expected certificates in PEM, found none in " + path,
                       {.field = field});
  }
  return text;
}

std::string read_key(const std::string& path, const std::string& field) {
  std::string text = read(path, field);
  if (text.find("PRIVATE KEY-----") == std::string::npos) {
    throw InvalidInput(field + ": expected a private key in PEM, found none in " + path,
                       {.field = field});
  }
  if (text.find("ENCRYPTED") != std::string::npos) {
    throw InvalidInput(field + ": the key in " + path + " has a password; remove the password",
                       {.field = field});
  }
  return text;
}

}  // namespace blackbox_am
