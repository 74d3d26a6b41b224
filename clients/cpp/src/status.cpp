#include "status.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace blackbox_am {

namespace {

constexpr const char* domain = "blackbox_am";
/// A message is sent three times in HTTP headers, which hold 8 KiB in all.
constexpr std::size_t max_message_bytes = 1200;

using Raise = void (*)(const std::string&, ErrorDetails);

template <class E>
[[noreturn]] void raise_as(const std::string& message, ErrorDetails details) {
  throw E(message, std::move(details));
}

struct Row {
  const char* kind;
  grpc::StatusCode code;
  Raise raise;
  int retry_seconds = 0;  // 0: repeating the call does not help
};

using grpc::StatusCode;

// The first class of a code is the class of a status that says nothing more.
const std::array rows{
    Row{"InvalidInput", StatusCode::INVALID_ARGUMENT, raise_as<InvalidInput>},
    Row{"InvalidSpec", StatusCode::INVALID_ARGUMENT, raise_as<InvalidSpec>},
    Row{"ShapeMismatch", StatusCode::INVALID_ARGUMENT, raise_as<ShapeMismatch>},
    Row{"UnknownUnit", StatusCode::INVALID_ARGUMENT, raise_as<UnknownUnit>},
    Row{"MessageTooLarge", StatusCode::INVALID_ARGUMENT, raise_as<MessageTooLarge>},
    Row{"NotFound", StatusCode::NOT_FOUND, raise_as<NotFound>},
    Row{"Conflict", StatusCode::ABORTED, raise_as<Conflict>},
    Row{"StudyExists", StatusCode::ALREADY_EXISTS, raise_as<StudyExists>},
    Row{"StudyClosed", StatusCode::FAILED_PRECONDITION, raise_as<StudyClosed>},
    Row{"ModelChanged", StatusCode::FAILED_PRECONDITION, raise_as<ModelChanged>},
    Row{"SequenceTaken", StatusCode::ABORTED, raise_as<SequenceTaken>, 1},
    Row{"NotOwner", StatusCode::ABORTED, raise_as<NotOwner>, 1},
    Row{"Unsupported", StatusCode::UNIMPLEMENTED, raise_as<Unsupported>},
    Row{"GradientUnavailable", StatusCode::UNIMPLEMENTED, raise_as<GradientUnavailable>},
    Row{"CapabilityMissing", StatusCode::UNIMPLEMENTED, raise_as<CapabilityMissing>},
    Row{"MissingExtra", StatusCode::UNIMPLEMENTED, raise_as<MissingExtra>},
    Row{"Denied", StatusCode::PERMISSION_DENIED, raise_as<Denied>},
    Row{"Unauthenticated", StatusCode::UNAUTHENTICATED, raise_as<Unauthenticated>},
    Row{"Forbidden", StatusCode::PERMISSION_DENIED, raise_as<Forbidden>},
    Row{"QuotaExceeded", StatusCode::RESOURCE_EXHAUSTED, raise_as<QuotaExceeded>, 60},
    Row{"ServerFailed", StatusCode::INTERNAL, raise_as<ServerFailed>},
    Row{"ServerUnavailable", StatusCode::UNAVAILABLE, raise_as<ServerUnavailable>, 1},
    Row{"ServerError", StatusCode::UNKNOWN, raise_as<ServerError>},
    Row{"OracleError", StatusCode::INTERNAL, raise_as<OracleError>},
    Row{"OracleFailed", StatusCode::INTERNAL, raise_as<OracleFailed>},
    Row{"OracleUnavailable", StatusCode::UNAVAILABLE, raise_as<OracleUnavailable>, 5},
    Row{"OracleTimeout", StatusCode::DEADLINE_EXCEEDED, raise_as<OracleTimeout>, 5},
    Row{"OutOfMemory", StatusCode::RESOURCE_EXHAUSTED, raise_as<OutOfMemory>},
    Row{"StoreError", StatusCode::UNAVAILABLE, raise_as<StoreError>, 2},
    Row{"StoreCorrupt", StatusCode::DATA_LOSS, raise_as<StoreCorrupt>},
    Row{"BlackboxError", StatusCode::UNKNOWN, raise_as<Error>},
};

/// `StudyExists` -> `STUDY_EXISTS`.
std::string reason_of(std::string_view kind) {
  std::string reason;
  for (std::size_t i = 0; i < kind.size(); ++i) {
    const bool capital = kind[i] >= 'A' && kind[i] <= 'Z';
    if (capital && i > 0) reason += '_';
    reason += capital ? kind[i] : static_cast<char>(kind[i] - 'a' + 'A');
  }
  return reason;
}

const Row* row_of_reason(std::string_view reason) {
  for (const Row& row : rows) {
    if (reason_of(row.kind) == reason) return &row;
  }
  return nullptr;
}

const Row* row_of_code(StatusCode code) {
  for (const Row& row : rows) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

const Row& row_of_kind(std::string_view kind) {
  for (const Row& row : rows) {
    if (row.kind == kind) return row;
  }
  return rows.back();
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The words of OpenSSL and BoringSSL in one form: `CERTIFICATE_VERIFY_FAILED` is
/// `certificate verify failed`.
std::string plain(std::string text) {
  for (char& c : text) {
    if (c == '_') c = ' ';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// What gRPC's words about a failed connection mean, with a remedy.
std::string meaning(const std::string& said) {
  const std::string details = plain(said);
  if (contains(details, "certificate verify failed")) {
    return "its certificate is not trusted; give the file of the authority that signed it as "
           "tls.ca_file";
  }
  if (contains(details, "hostname verification") ||
      contains(details, "is not in peer certificate")) {
    return "its certificate is for another name than that of its address; give the name that is "
           "in the certificate as tls.server_name";
  }
  if (contains(details, "wrong version number") || contains(details, "http/1.x") ||
      contains(details, "cannot check peer: missing")) {
    return "it does not speak TLS; connect without tls";
  }
  if (contains(details, "socket closed") || contains(details, "reset by peer") ||
      contains(details, "connection dropped") || contains(details, "broken pipe")) {
    return "it closed the connection, as a server does that stops, or that expects TLS or a "
           "client's certificate";
  }
  return "check that the server runs and that the address is right";
}

[[noreturn]] void raise_by_code(const grpc::Status& status, const std::string& target,
                                ErrorDetails details) {
  const std::string& said = status.error_message();
  switch (status.error_code()) {
    case StatusCode::UNAVAILABLE:
      throw ServerUnavailable("cannot reach " + target + " (" + said + "): " + meaning(said),
                              details);
    case StatusCode::DEADLINE_EXCEEDED:
      throw ServerUnavailable(
          target + " did not answer in time; give it more time, or see what keeps it busy",
          details);
    case StatusCode::CANCELLED:
      throw ServerUnavailable("the call to " + target + " was cancelled (" + said + ")", details);
    case StatusCode::RESOURCE_EXHAUSTED:
      if (contains(said, "larger than max")) {
        throw MessageTooLarge("the message is too large for its receiver (" + said +
                                  "); send fewer rows at a time, or raise the limit where it is "
                                  "received (max_message_bytes)",
                              details);
      }
      break;
    case StatusCode::UNIMPLEMENTED:
      throw Unsupported(target + " does not know this call (" + said + ")", details);
    default:
      break;
  }
  const std::string text = said.empty() ? target + " answered with status code " +
                                              std::to_string(status.error_code()) +
                                              " and said nothing more"
                                        : said;
  const Row* row = row_of_code(status.error_code());
  if (row == nullptr) throw ServerFailed(text, details);
  row->raise(text, details);
  throw ServerFailed(text, details);  // not reached: every row throws
}

std::string shortened(const std::string& text) {
  if (text.size() <= max_message_bytes) return text;
  std::size_t end = max_message_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // UTF-8
  return text.substr(0, end) + " ...";
}

/// What the details of a status say.
struct Said {
  ErrorDetails details;
  const Row* row = nullptr;
};

Said read(const google::rpc::Status& status) {
  Said said;
  for (const auto& detail : status.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::RetryInfo retry;
    if (detail.Is<google::rpc::ErrorInfo>() && detail.UnpackTo(&info)) {
      if (info.domain() != domain) continue;
      said.details.reason = info.reason();
      said.row = row_of_reason(info.reason());
    } else if (detail.Is<google::rpc::BadRequest>() && detail.UnpackTo(&bad)) {
      if (bad.field_violations_size() > 0) said.details.field = bad.field_violations(0).field();
    } else if (detail.Is<google::rpc::RetryInfo>() && detail.UnpackTo(&retry)) {
      said.details.retry_after = static_cast<double>(retry.retry_delay().seconds()) +
                                 retry.retry_delay().nanos() * 1e-9;
    }
  }
  return said;
}

}  // namespace

std::string Error::reason() const {
  return details_.reason.empty() ? reason_of(kind()) : details_.reason;
}

void raise(const grpc::Status& status, const std::string& target) {
  Said said;
  google::rpc::Status rich;
  if (!status.error_details().empty() && rich.ParseFromString(status.error_details())) {
    said = read(rich);
    if (said.row != nullptr) said.row->raise(rich.message(), said.details);
  }
  raise_by_code(status, target, said.details);
}

grpc::Status to_status(const Error& error) {
  const Row& row = row_of_kind(error.kind());
  google::rpc::Status status;
  status.set_code(row.code);
  status.set_message(shortened(error.what()));
  google::rpc::ErrorInfo info;
  info.set_reason(reason_of(row.kind));
  info.set_domain(domain);
  status.add_details()->PackFrom(info);
  if (!error.field().empty()) {
    google::rpc::BadRequest bad;
    auto* violation = bad.add_field_violations();
    violation->set_field(shortened(error.field()));
    violation->set_description(status.message());
    status.add_details()->PackFrom(bad);
  }
  const double seconds = error.retry_after().value_or(row.retry_seconds);
  if (seconds > 0 || error.retry_after()) {
    google::rpc::RetryInfo retry;
    const auto milliseconds = std::llround(1000 * std::min(seconds, 1e9));
    retry.mutable_retry_delay()->set_seconds(milliseconds / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(milliseconds % 1000) * 1'000'000);
    status.add_details()->PackFrom(retry);
  }
  return {row.code, status.message(), status.SerializeAsString()};
}

}  // namespace blackbox_am
