#include "status.hpp"

#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "harness.hpp"

namespace bam = blackbox_am;

namespace {

grpc::Status with_reason(grpc::StatusCode code, const std::string& reason) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message("said by another");
  google::rpc::ErrorInfo info;
  info.set_domain("blackbox_am");
  info.set_reason(reason);
  status.add_details()->PackFrom(info);
  return {code, "said by another", status.SerializeAsString()};
}

template <class E>
void there_and_back(const std::string& reason) {
  const grpc::Status status = bam::to_status(E("a text", {.field = "spec.seed", .retry_after = 2.5}));
  const E error = CHECK_THROWS(E, "a text", bam::raise(status, "host:1"));
  CHECK_EQUAL(error.reason(), reason);
  CHECK_EQUAL(error.field(), "spec.seed");
  CHECK_EQUAL(*error.retry_after(), 2.5);
  CHECK_EQUAL(std::string(error.kind()), std::string(E("").kind()));
}

}  // namespace

TEST(errors_survive_the_wire) {
  there_and_back<bam::StudyExists>("STUDY_EXISTS");
  there_and_back<bam::OutOfMemory>("OUT_OF_MEMORY");
  there_and_back<bam::Unauthenticated>("UNAUTHENTICATED");
  there_and_back<bam::Forbidden>("FORBIDDEN");
  there_and_back<bam::StoreCorrupt>("STORE_CORRUPT");
  there_and_back<bam::ServerUnavailable>("SERVER_UNAVAILABLE");
  there_and_back<bam::OracleTimeout>("ORACLE_TIMEOUT");
}

TEST(default_times_to_retry) {
  const auto after = [](const bam::Error& error) {
    try {
      bam::raise(bam::to_status(error), "host:1");
    } catch (const bam::Error& found) {
      return found.retry_after();
    }
  };
  CHECK_EQUAL(*after(bam::OracleUnavailable("")), 5.0);
  CHECK_EQUAL(*after(bam::StoreError("")), 2.0);
  CHECK_EQUAL(*after(bam::QuotaExceeded("")), 60.0);
  CHECK(!after(bam::InvalidSpec("")));
}

TEST(an_unknown_reason_goes_by_its_code) {
  const auto status = with_reason(grpc::StatusCode::NOT_FOUND, "MOON_NOT_FOUND");
  const auto error = CHECK_THROWS(bam::NotFound, "said by another", bam::raise(status, "host:1"));
  CHECK_EQUAL(error.reason(), "MOON_NOT_FOUND");
}

TEST(statuses_of_others) {
  using grpc::StatusCode;
  const auto raise = [](StatusCode code, const std::string& text) {
    bam::raise(grpc::Status(code, text), "host:1");
  };
  CHECK_THROWS(bam::ServerUnavailable, "cannot reach host:1", raise(StatusCode::UNAVAILABLE, "x"));
  CHECK_THROWS(bam::ServerUnavailable, "in time", raise(StatusCode::DEADLINE_EXCEEDED, "x"));
  CHECK_THROWS(bam::ServerUnavailable, "cancelled", raise(StatusCode::CANCELLED, "x"));
  CHECK_THROWS(bam::MessageTooLarge, "larger than max",
               raise(StatusCode::RESOURCE_EXHAUSTED, "message larger than max (5 vs. 4)"));
  CHECK_THROWS(bam::QuotaExceeded, "x", raise(StatusCode::RESOURCE_EXHAUSTED, "x"));
  CHECK_THROWS(bam::ServerFailed, "said nothing more", raise(StatusCode::OUT_OF_RANGE, ""));
  CHECK_THROWS(bam::Unsupported, "does not know this call", raise(StatusCode::UNIMPLEMENTED, ""));
}

TEST(damaged_details_are_passed_over) {
  CHECK_THROWS(bam::NotFound, "gone",
               bam::raise(grpc::Status(grpc::StatusCode::NOT_FOUND, "gone", "\xff\xff"), "host:1"));
}

TEST(long_messages_are_cut_between_characters) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "\u00e9";
  const std::string message = bam::to_status(bam::NotFound(text)).error_message();
  CHECK(message.size() <= 1204);
  CHECK_EQUAL(message.substr(0, 2), "\u00e9");
  CHECK_EQUAL(message.size() % 2, std::size_t{0});
}
