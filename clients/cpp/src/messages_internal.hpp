/// Conversions between messages of the wire and plain structures, beyond those of `messages.hpp`.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <chrono>
#include <cstddef>
#include <string>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/description.hpp"
#include "blackbox_am/event.hpp"
#include "blackbox_am/messages.hpp"
#include "blackbox_am/v1/oracle_service.pb.h"
#include "blackbox_am/v1/study_event.pb.h"
#include "blackbox_am/v1/study_service.pb.h"

namespace blackbox_am {

/// Bytes of a tensor of this type and shape. Throws ShapeMismatch, with `field`, where the type is
/// unknown or the shape is impossible.
[[nodiscard]] std::size_t bytes_of(Dtype dtype, const Shape& shape, const std::string& field);
/// The tensor of a message whose bytes stay where they are.
[[nodiscard]] TensorView view_of(const v1::Tensor& tensor, const std::string& field);
/// The type in which stimuli are asked for. Throws InvalidInput for another than uint8, float32.
[[nodiscard]] v1::Dtype stimulus_dtype(Dtype dtype);

[[nodiscard]] google::protobuf::Duration to_message(Seconds seconds, const std::string& field);
[[nodiscard]] Seconds from_message(const google::protobuf::Duration& duration);
[[nodiscard]] std::chrono::system_clock::time_point from_message(
    const google::protobuf::Timestamp& time);

[[nodiscard]] Event from_message(const v1::StudyEvent& event);
[[nodiscard]] Best from_message(const v1::Best& best);
[[nodiscard]] Generation from_message(const v1::Generation& generation);
/// Throws InvalidInput for limits that are not above 0.
[[nodiscard]] v1::Budget to_message(const Extension& limits);

[[nodiscard]] v1::DescribeOracleResponse to_message(const OracleDescription& description,
                                                    const std::string& name);
[[nodiscard]] OracleDescription from_message(const v1::DescribeOracleResponse& message);

/// `studies/{id}` of an id. Throws InvalidInput for text that is no id.
[[nodiscard]] std::string study_name(const std::string& id);
/// The id in `studies/{id}`; empty for an empty name.
[[nodiscard]] std::string study_id(const std::string& name);

}  // namespace blackbox_am
