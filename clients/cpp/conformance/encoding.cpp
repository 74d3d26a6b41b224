#include "encoding.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "models.hpp"

namespace driver {

namespace bam = blackbox_am;

namespace {

constexpr std::string_view digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bam::Parameters to_parameters(const Json& object) {
  bam::Parameters found;
  for (const auto& [name, value] : object.items()) {
    if (value.is_boolean()) {
      found[name] = value.get<bool>();
    } else if (value.is_string()) {
      found[name] = value.get<std::string>();
    } else {
      found[name] = value.get<double>();
    }
  }
  return found;
}

bam::Space to_space(const Json& value) {
  const Arguments given(value);
  bam::Space space;
  const std::string kind = given.text("kind");
  if (kind == "sphere") space.kind = bam::Space::Kind::sphere;
  if (kind == "box") space.kind = bam::Space::Kind::box;
  if (kind == "categorical") space.kind = bam::Space::Kind::categorical;
  space.dimension = given.number<std::int32_t>("dimension").value_or(0);
  space.radius = given.real("radius");
  if (given.has("low")) space.low = to_doubles(given.at("low"));
  if (given.has("high")) space.high = to_doubles(given.at("high"));
  space.categories = given.number<std::int32_t>("categories").value_or(0);
  return space;
}

bam::Objective to_objective(const Json& target) {
  if (target.is_string()) return target.get<std::string>();
  return bam::Objective::mean_of(target.get<std::vector<std::string>>());
}

Json of_target(const bam::TargetProgress& target) {
  return {{"target", target.target},
          {"title", target.title},
          {"finished", target.finished},
          {"stop_reason", bam::name_of(target.stop_reason)},
          {"queries", target.queries},
          {"best_score", of_optional(target.best_score)}};
}

}  // namespace

bool Arguments::has(const std::string& name) const {
  const auto found = object_.find(name);
  return found != object_.end() && !found->is_null();
}

const Json& Arguments::at(const std::string& name) const {
  if (!has(name)) throw DriverError("missing argument: " + name);
  return object_.at(name);
}

std::string Arguments::text(const std::string& name, std::string fallback) const {
  return has(name) ? at(name).get<std::string>() : std::move(fallback);
}

bool Arguments::flag(const std::string& name) const { return has(name) && at(name).get<bool>(); }

std::optional<double> Arguments::real(const std::string& name) const {
  if (!has(name)) return {};
  return to_double(at(name));
}

std::optional<bam::Seconds> Arguments::seconds(const std::string& name) const {
  if (!has(name)) return {};
  return bam::Seconds(to_double(at(name)));
}

std::vector<std::string> Arguments::texts(const std::string& name) const {
  return has(name) ? at(name).get<std::vector<std::string>>() : std::vector<std::string>();
}

Json of_double(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

double to_double(const Json& value) {
  if (!value.is_string()) return value.get<double>();
  const std::string text = value.get<std::string>();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  throw DriverError("expected a number, got " + text);
}

std::vector<double> to_doubles(const Json& list) {
  std::vector<double> found;
  for (const Json& value : list) found.push_back(to_double(value));
  return found;
}

Json of_doubles(std::span<const double> values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(of_double(value));
  return list;
}

Json of_optional(const std::optional<double>& value) {
  return value ? of_double(*value) : Json(nullptr);
}

std::uint64_t to_id(const Json& value) {
  return value.is_string() ? std::stoull(value.get<std::string>()) : value.get<std::uint64_t>();
}

std::int64_t to_seed(const Json& value) {
  return value.is_string() ? std::stoll(value.get<std::string>()) : value.get<std::int64_t>();
}

std::string to_base64(std::span<const std::byte> data) {
  std::string text;
  text.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < data.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, data.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < count ? std::to_integer<std::uint32_t>(data[at + i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= count ? digits[bits >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

std::vector<std::byte> from_base64(const std::string& text) {
  std::array<int, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<unsigned char>(digits[i])] = static_cast<int>(i);
  }
  std::vector<std::byte> data;
  data.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char character : text) {
    const int value = values[static_cast<unsigned char>(character)];
    if (character == '=') break;
    if (value < 0) throw DriverError("expected base64");
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      data.push_back(static_cast<std::byte>(bits >> held & 255));
    }
  }
  return data;
}

Json of_tensor(const bam::TensorView& tensor) {
  return {{"dtype", bam::name_of(tensor.dtype())},
          {"shape", tensor.shape()},
          {"data", to_base64(tensor.bytes())}};
}

bam::Tensor to_tensor(const Json& value) {
  return bam::Tensor(bam::dtype_of(value.at("dtype").get<std::string>()),
                     value.at("shape").get<bam::Shape>(),
                     from_base64(value.at("data").get<std::string>()));
}

bam::StudySpec to_spec(const Json& value) {
  const Arguments given(value);
  bam::StudySpec spec;
  for (const Json& target : given.at("targets")) spec.targets.push_back(to_objective(target));
  spec.generator = given.text("generator");
  if (given.has("space")) spec.space = to_space(given.at("space"));
  spec.oracle = given.text("oracle");
  spec.optimizer = given.text("optimizer", spec.optimizer);
  if (given.has("parameters")) spec.parameters = to_parameters(given.at("parameters"));
  spec.queries_per_target =
      given.number<std::int32_t>("queries_per_target").value_or(spec.queries_per_target);
  spec.seconds = given.real("seconds");
  spec.target_score = given.real("target_score");
  spec.patience = given.number<std::int32_t>("patience");
  if (given.has("seed")) spec.seed = to_seed(given.at("seed"));
  if (given.has("labels")) spec.labels = given.at("labels").get<bam::Labels>();
  return spec;
}

Json of_study(const bam::StudyProgress& progress) {
  Json targets = Json::array();
  for (const auto& target : progress.targets) targets.push_back(of_target(target));
  return {{"study_id", progress.study_id},
          {"state", bam::name_of(progress.state)},
          {"stop_reason", bam::name_of(progress.stop_reason)},
          {"message", progress.message},
          {"sequence", progress.sequence},
          {"generation", progress.generation},
          {"search_rows", progress.accounting.search_rows},
          {"failed_rows", progress.accounting.failed_rows},
          {"queries_per_target", progress.queries_per_target},
          {"targets", targets}};
}

Json of_event(const bam::Event& event) {
  Json json{{"sequence", event.sequence}, {"kind", event.kind()}};
  if (const auto* changed = event.get_if<bam::StateChanged>()) {
    json["state"] = bam::name_of(changed->state);
    json["stop_reason"] = bam::name_of(changed->stop_reason);
    json["message"] = changed->message;
  } else if (const auto* opened = event.get_if<bam::GenerationOpened>()) {
    json["generation"] = opened->generation;
    json["candidates"] = opened->candidates;
  } else if (const auto* told = event.get_if<bam::RowsTold>()) {
    json["generation"] = told->generation;
    json["rows"] = told->rows;
    json["failed"] = told->failed;
  } else if (const auto* closed = event.get_if<bam::GenerationClosed>()) {
    json["generation"] = closed->generation;
    json["targets"] = closed->targets;
    json["best_scores"] = of_doubles(closed->best_scores);
    json["mean_scores"] = of_doubles(closed->mean_scores);
    json["best_so_far"] = of_doubles(closed->best_so_far);
    json["total_rows"] = closed->total_rows;
  } else if (const auto* budget = event.get_if<bam::BudgetChanged>()) {
    json["queries_per_target"] = budget->queries_per_target;
  } else if (const auto* resumed = event.get_if<bam::Resumed>()) {
    json["generation"] = resumed->generation;
    json["exact"] = resumed->exact;
  }
  return json;
}

Json of_error(const std::exception_ptr& error) {
  Json json{{"kind", "Driver"}, {"reason", ""}, {"field", ""}, {"retry_after_s", nullptr}};
  try {
    std::rethrow_exception(error);
  } catch (const bam::Error& problem) {
    json["kind"] = problem.kind();
    json["reason"] = problem.reason();
    json["message"] = problem.what();
    json["field"] = problem.field();
    json["retry_after_s"] = of_optional(problem.retry_after());
  } catch (const ModelError& problem) {
    json["kind"] = "Model";
    json["message"] = problem.what();
  } catch (const std::exception& problem) {
    json["message"] = problem.what();
  }
  return json;
}

}  // namespace driver
