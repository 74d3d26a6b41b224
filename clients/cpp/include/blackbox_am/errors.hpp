/// The errors of the client, in one tree of classes. The tree is that of the server:
///
///     Error
///     ├── InvalidInput            the same request can never succeed
///     │   ├── InvalidSpec         a field of a specification is wrong
///     │   ├── ShapeMismatch       an array has another shape or type than expected
///     │   ├── UnknownUnit         the oracle has no such layer or unit
///     │   └── MessageTooLarge     a message has more bytes than its receiver accepts
///     ├── NotFound                no such study, oracle, generator or artifact
///     ├── Conflict                the request is in conflict with existing data
///     │   ├── StudyExists         a study of this id has another specification
///     │   ├── ModelChanged        the study began with another oracle or generator
///     │   ├── StudyClosed         the study has ended
///     │   ├── SequenceTaken       another process wrote to this study first
///     │   └── NotOwner            another process runs this study
///     ├── Unsupported             the component does not support the request
///     │   ├── GradientUnavailable order-1 optimizer, but no gradients
///     │   ├── CapabilityMissing   the oracle or generator lacks a capability
///     │   └── MissingExtra        an optional package is not installed on the server
///     ├── OracleError             the model could not be evaluated
///     │   ├── OracleFailed        the model returned an error or an invalid answer
///     │   ├── OracleUnavailable   the model cannot be reached
///     │   ├── OracleTimeout       the model did not answer in time
///     │   └── OutOfMemory         the batch does not fit into memory
///     ├── StoreError              the journal could not be read or written
///     │   └── StoreCorrupt        the file is damaged or has another format
///     ├── Denied                  the caller is not allowed to do this
///     │   ├── Unauthenticated     the caller's identity is unknown
///     │   ├── Forbidden           the caller lacks the permission
///     │   └── QuotaExceeded       the caller's quota is used up
///     └── ServerError             a server could not process the request
///         ├── ServerUnavailable   the server cannot be reached or did not answer in time
///         └── ServerFailed        an unexpected failure; the server's log says more
///
/// `Stopped` is not in the tree: it says that the caller's own stop token ended a call.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace blackbox_am {

/// What an error says besides its message.
struct ErrorDetails {
  /// The field of the request that is wrong, such as `spec.targets[0].quantities[1]`, or empty.
  std::string field{};
  /// Seconds after which the same request may succeed; none if unknown.
  std::optional<double> retry_after{};
  /// The reason as the server sent it; empty for the reason of the class.
  std::string reason{};
};

/// Base of all errors of this client. A message says what was expected, what came, what to do.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorDetails details = {})
      : std::runtime_error(message), details_(std::move(details)) {}

  /// The field of the request that is wrong, or empty.
  [[nodiscard]] const std::string& field() const noexcept { return details_.field; }
  /// Seconds after which the same request may succeed; none if unknown.
  [[nodiscard]] std::optional<double> retry_after() const noexcept { return details_.retry_after; }
  /// The name of the class, such as `StudyExists`.
  [[nodiscard]] virtual const char* kind() const noexcept { return "BlackboxError"; }
  /// The reason as on the wire, such as `STUDY_EXISTS`.
  [[nodiscard]] std::string reason() const;

 private:
  ErrorDetails details_;
};

/// The caller's stop token ended a call before its answer came.
class Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("the call was stopped by its stop token") {}
};

// One class of the tree: a constructor like that of `Error`, and its name.
#define BLACKBOX_AM_ERROR(NAME, BASE)                                         \
  class NAME : public BASE {                                                  \
   public:                                                                    \
    using BASE::BASE;                                                         \
    [[nodiscard]] const char* kind() const noexcept override { return #NAME; } \
  }

BLACKBOX_AM_ERROR(InvalidInput, Error);
BLACKBOX_AM_ERROR(InvalidSpec, InvalidInput);
BLACKBOX_AM_ERROR(ShapeMismatch, InvalidInput);
BLACKBOX_AM_ERROR(UnknownUnit, InvalidInput);
BLACKBOX_AM_ERROR(MessageTooLarge, InvalidInput);
BLACKBOX_AM_ERROR(NotFound, Error);
BLACKBOX_AM_ERROR(Conflict, Error);
BLACKBOX_AM_ERROR(StudyExists, Conflict);
BLACKBOX_AM_ERROR(ModelChanged, Conflict);
BLACKBOX_AM_ERROR(StudyClosed, Conflict);
BLACKBOX_AM_ERROR(SequenceTaken, Conflict);
BLACKBOX_AM_ERROR(NotOwner, Conflict);
BLACKBOX_AM_ERROR(Unsupported, Error);
BLACKBOX_AM_ERROR(GradientUnavailable, Unsupported);
BLACKBOX_AM_ERROR(CapabilityMissing, Unsupported);
BLACKBOX_AM_ERROR(MissingExtra, Unsupported);
BLACKBOX_AM_ERROR(OracleError, Error);
BLACKBOX_AM_ERROR(OracleFailed, OracleError);
BLACKBOX_AM_ERROR(OracleUnavailable, OracleError);
BLACKBOX_AM_ERROR(OracleTimeout, OracleError);
BLACKBOX_AM_ERROR(OutOfMemory, OracleError);
BLACKBOX_AM_ERROR(StoreError, Error);
BLACKBOX_AM_ERROR(StoreCorrupt, StoreError);
BLACKBOX_AM_ERROR(Denied, Error);
BLACKBOX_AM_ERROR(Unauthenticated, Denied);
BLACKBOX_AM_ERROR(Forbidden, Denied);
BLACKBOX_AM_ERROR(QuotaExceeded, Denied);
BLACKBOX_AM_ERROR(ServerError, Error);
BLACKBOX_AM_ERROR(ServerUnavailable, ServerError);
BLACKBOX_AM_ERROR(ServerFailed, ServerError);

#undef BLACKBOX_AM_ERROR

}  // namespace blackbox_am
