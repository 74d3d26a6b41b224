#include "oracles.hpp"

#include <limits>

#include "models.hpp"

namespace driver {

namespace bam = blackbox_am;

namespace {

void unit_sums(const bam::Observation& call) {
  for (std::size_t row = 0; row < call.rows; ++row) {
    const auto stimulus = call.stimulus(row);
    const std::vector<double> x(stimulus.begin(), stimulus.end());
    if (x.front() == 0.0) continue;  // all numbers of the row stay nan
    for (std::size_t j = 0; j < call.units.size(); ++j) {
      call.at(row, j) =
          static_cast<float>(linear(x, static_cast<std::size_t>(*call.units[j].index)));
    }
  }
}

void first(const bam::Observation& call) {
  for (std::size_t row = 0; row < call.rows; ++row) {
    const auto x = call.stimulus(row);
    for (std::size_t j = 0; j < call.units.size(); ++j) {
      call.at(row, j) = x[static_cast<std::size_t>(*call.units[j].index)];
    }
  }
}

[[noreturn]] void raise(const std::string& kind) {
  const std::string text = "no memory for this batch";
  if (kind == "InvalidInput") throw bam::InvalidInput(text);
  if (kind == "ShapeMismatch") throw bam::ShapeMismatch(text);
  if (kind == "UnknownUnit") throw bam::UnknownUnit(text);
  if (kind == "NotFound") throw bam::NotFound(text);
  if (kind == "Unsupported") throw bam::Unsupported(text);
  if (kind == "CapabilityMissing") throw bam::CapabilityMissing(text);
  if (kind == "OracleError") throw bam::OracleError(text);
  if (kind == "OracleFailed") throw bam::OracleFailed(text);
  if (kind == "OracleUnavailable") throw bam::OracleUnavailable(text);
  if (kind == "OracleTimeout") throw bam::OracleTimeout(text);
  if (kind == "QuotaExceeded") throw bam::QuotaExceeded(text);
  if (kind == "OutOfMemory") throw bam::OutOfMemory(text);
  throw bam::OracleFailed("the driver has no error of the class " + kind);
}

bam::Observe function_of(const Arguments& given) {
  const Json& model = given.at("model");
  const std::string name = model.is_string() ? model.get<std::string>()
                                             : model.at("name").get<std::string>();
  if (name == "unit_sums") return unit_sums;
  if (name == "first") return first;
  if (name == "throws") {
    return [](const bam::Observation&) { throw std::runtime_error("the rig fell over"); };
  }
  if (name == "raises") {
    return [kind = given.text("error", "OutOfMemory")](const bam::Observation&) { raise(kind); };
  }
  throw DriverError("unknown model of an oracle: " + name);
}

}  // namespace

bam::OracleServer serve(const Arguments& given) {
  bam::OracleDescription description;
  description.kind = "conformance";
  description.stimulus_shape = given.at("stimulus_shape").get<bam::Shape>();
  description.layers = {bam::Layer::vector("out", given.at("units").get<std::int32_t>())};
  description.batch_size = 16;
  description.fingerprint = "conformance-1";
  const auto port = given.number<int>("port").value_or(0);
  return bam::serve_oracle(description, function_of(given),
                           {.name = given.at("name").get<std::string>(),
                            .address = "127.0.0.1:" + std::to_string(port)});
}

}  // namespace driver
