/// Files of certificates and keys.
#pragma once

#include <string>

namespace blackbox_am {

/// The text of a file with certificates, or with a private key, in PEM. Throws InvalidInput with
/// `field` for a file that cannot be read or has no such thing: gRPC takes any bytes, and then
/// every connection fails without a reason.
[[nodiscard]] std::string read_certificates(const std::string& path, const std::string& field);
[[nodiscard]] std::string read_key(const std::string& path, const std::string& field);

}  // namespace blackbox_am
