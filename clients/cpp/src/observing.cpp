#include "observing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "blackbox_am/errors.hpp"

namespace blackbox_am {

namespace {

void check(const OracleDescription& description, const Observe& observe) {
  if (!observe) throw InvalidInput("observe: expected a function, got none", {.field = "observe"});
  if (description.layers.empty()) {
    throw InvalidInput("layers: an oracle has at least one layer", {.field = "layers"});
  }
  if (description.batch_size < 1) {
    throw InvalidInput("batch_size: expected 1 or more, got " +
                           std::to_string(description.batch_size),
                       {.field = "batch_size"});
  }
  for (const Layer& layer : description.layers) {
    const auto axis = std::find(layer.axes.begin(), layer.axes.end(), "unit");
    const auto place = static_cast<std::size_t>(axis - layer.axes.begin());
    if (layer.axes.size() != layer.shape.size() || axis == layer.axes.end() ||
        layer.shape[place] != layer.units) {
      throw InvalidInput("layer '" + layer.name + "': expected one axis for each length of its "
                         "shape, and one of them 'unit', as long as `units`",
                         {.field = "layers"});
    }
  }
  static_cast<void>(count_of(description.stimulus_shape));
}

const Layer& layer_of(const OracleDescription& description, const Unit& unit,
                      const std::string& field) {
  std::string known;
  for (const Layer& layer : description.layers) {
    if (layer.name == unit.layer) return layer;
    known += (known.empty() ? "" : ", ") + layer.name;
  }
  throw UnknownUnit("unit '" + unit.address + "': no layer '" + unit.layer + "'; known: " + known,
                    {.field = field});
}

/// The stimuli as float32; `held` keeps them if they had another type.
std::span<const float> floats(const TensorView& stimuli, std::vector<float>& held) {
  if (stimuli.dtype() == Dtype::float32) return stimuli.as<float>();
  if (stimuli.dtype() == Dtype::uint8) {
    const auto bytes = stimuli.as<std::uint8_t>();
    held.resize(bytes.size());
    std::transform(bytes.begin(), bytes.end(), held.begin(),
                   [](std::uint8_t value) { return static_cast<float>(value) / 255.0F; });
  } else {
    const auto doubles = stimuli.as<double>();
    held.resize(doubles.size());
    std::transform(doubles.begin(), doubles.end(), held.begin(),
                   [](double value) { return static_cast<float>(value); });
  }
  return held;
}

float reduced(std::span<const float> values, const std::string& reduce) {
  if (reduce == "max" || reduce == "min") {
    float found = values.front();
    for (const float value : values) {
      if (std::isnan(value)) return value;
      found = reduce == "max" ? std::max(found, value) : std::min(found, value);
    }
    return found;
  }
  double sum = 0.0;
  for (const float value : values) {
    sum += reduce == "square" ? static_cast<double>(value) * value : static_cast<double>(value);
  }
  const bool mean = reduce == "mean" || reduce == "square";
  return static_cast<float>(mean ? sum / static_cast<double>(values.size()) : sum);
}

}  // namespace

Observer::Observer(OracleDescription description, Observe observe, bool concurrent)
    : description_(std::move(description)), observe_(std::move(observe)), concurrent_(concurrent) {
  check(description_, observe_);
}

void Observer::check_stimuli(Dtype dtype, const Shape& shape) const {
  const bool known = dtype == Dtype::float32 || dtype == Dtype::float64 || dtype == Dtype::uint8;
  if (!known) {
    throw ShapeMismatch("stimuli: expected float32, float64 or uint8, got " +
                            std::string(name_of(dtype)),
                        {.field = "stimuli"});
  }
  const Shape& one = description_.stimulus_shape;
  if (shape.empty() || Shape(shape.begin() + 1, shape.end()) != one) {
    std::string expected = "N";
    for (const std::int64_t length : one) expected += ", " + std::to_string(length);
    throw ShapeMismatch(
        "stimuli: expected shape (" + expected + "), got " + in_words(shape),
        {.field = "stimuli"});
  }
}

void Observer::add(const Unit& unit, const std::string& field, Plan& plan) const {
  const Layer& layer = layer_of(description_, unit, field);
  if (unit.index && *unit.index >= layer.units) {
    throw UnknownUnit("unit '" + unit.address + "': layer '" + layer.name + "' has units 0 to " +
                          std::to_string(layer.units - 1) + ", got " + std::to_string(*unit.index),
                      {.field = field});
  }
  const bool vector = layer.axes.size() == 1;
  if (!unit.position.empty()) {
    if (vector) {
      throw UnknownUnit("unit '" + unit.address + "': layer '" + layer.name +
                            "' has no positions; leave out @" + unit.position,
                        {.field = field});
    }
    const auto& all = description_.capabilities;
    if (std::find(all.begin(), all.end(), Capability::maps) == all.end()) {
      throw CapabilityMissing("unit '" + unit.address + "': a position needs the capability MAPS, "
                              "which this oracle lacks",
                              {.field = field});
    }
  }
  const std::size_t first = plan.units.size();
  if (!vector || unit.index) {
    plan.units.push_back(unit);
    plan.columns.push_back({first, 1, vector && unit.reduce == "square" ? "square" : "mean"});
    return;
  }
  for (std::int64_t index = 0; index < layer.units; ++index) {
    Unit one = unit;
    one.index = index;
    plan.units.push_back(std::move(one));
  }
  plan.columns.push_back({first, static_cast<std::size_t>(layer.units), unit.reduce});
}

Observer::Plan Observer::plan(std::span<const std::string> addresses) const {
  Plan plan;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::string field = "units[" + std::to_string(i) + "]";
    try {
      add(Unit::parse(addresses[i]), field, plan);
    } catch (const UnknownUnit&) {
      throw;
    } catch (const CapabilityMissing&) {
      throw;
    } catch (const InvalidInput& error) {
      throw InvalidInput(error.what(), {.field = field});
    }
  }
  return plan;
}

void Observer::call(const Observation& observation) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!concurrent_) lock.lock();
  ++calls_;
  rows_ += static_cast<std::int64_t>(observation.rows);
  try {
    observe_(observation);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw OracleFailed("the oracle failed on " + std::to_string(observation.rows) +
                       " stimuli: " + error.what());
  } catch (...) {
    throw OracleFailed("the oracle failed on " + std::to_string(observation.rows) + " stimuli");
  }
}

Tensor Observer::observe(const TensorView& stimuli, std::span<const std::string> addresses,
                         std::size_t batch) {
  check_stimuli(stimuli.dtype(), stimuli.shape());
  const Plan plan = this->plan(addresses);
  const std::size_t rows = stimuli.rows();
  const std::size_t width = plan.columns.size();
  std::vector<std::byte> bytes(rows * width * sizeof(float));
  const Shape shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(width)};
  if (rows == 0 || width == 0) return Tensor(Dtype::float32, shape, std::move(bytes));
  std::vector<float> held;
  const std::span<const float> values = floats(stimuli, held);
  const std::size_t size = values.size() / rows;
  std::vector<float> found(rows * plan.units.size(), std::numeric_limits<float>::quiet_NaN());
  const std::size_t step = batch == 0 ? rows : batch;
  for (std::size_t start = 0; start < rows; start += step) {
    const std::size_t count = std::min(step, rows - start);
    call({.rows = count,
          .stimuli = values.subspan(start * size, count * size),
          .units = plan.units,
          .activations = std::span(found).subspan(start * plan.units.size(),
                                                  count * plan.units.size())});
  }
  Tensor answer(Dtype::float32, shape, std::move(bytes));
  const std::span<float> out(reinterpret_cast<float*>(answer.bytes().data()), rows * width);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto mine = std::span(found).subspan(row * plan.units.size(), plan.units.size());
    for (std::size_t j = 0; j < width; ++j) {
      const Column& column = plan.columns[j];
      out[row * width + j] = reduced(mine.subspan(column.first, column.count), column.reduce);
    }
  }
  return answer;
}

}  // namespace blackbox_am
