/// The messages of the wire, for what the plain structures do not have. This header includes the
/// generated code of protobuf; no other public header does.
#pragma once

#include "blackbox_am/client.hpp"
#include "blackbox_am/v1/study.pb.h"

namespace blackbox_am {

/// The message of a specification, to add to before `Client::create`.
[[nodiscard]] v1::StudySpec to_message(const StudySpec& spec);
/// The plain form of a study's message.
[[nodiscard]] StudyProgress from_message(const v1::Study& study);
/// The message of an array, and the array of a message. The latter throws ShapeMismatch if the
/// bytes do not fit to dtype and shape; `field` is the name of the array in its text.
[[nodiscard]] v1::Tensor to_message(const TensorView& tensor);
[[nodiscard]] Tensor from_message(const v1::Tensor& tensor, const std::string& field = "tensor");

}  // namespace blackbox_am
