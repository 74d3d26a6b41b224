/// Errors on the wire: one table of classes and status codes, used both ways.
#pragma once

#include <grpcpp/support/status.h>

#include <exception>
#include <string>

#include "blackbox_am/errors.hpp"

namespace blackbox_am {

/// Throws the error that a failed call stands for. `target` is the server's address, for the text.
[[noreturn]] void raise(const grpc::Status& status, const std::string& target);

/// The status that carries an error to the other side.
[[nodiscard]] grpc::Status to_status(const Error& error);

}  // namespace blackbox_am
