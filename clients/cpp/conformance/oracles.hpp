/// The oracles of the driver protocol.
#pragma once

#include "blackbox_am/blackbox_am.hpp"
#include "encoding.hpp"

namespace driver {

/// Serves the oracle that the arguments of `serve_oracle` describe.
[[nodiscard]] blackbox_am::OracleServer serve(const Arguments& given);

}  // namespace driver
