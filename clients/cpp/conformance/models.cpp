#include "models.hpp"

#include <array>
#include <chrono>
#include <limits>
#include <thread>

namespace driver {

namespace bam = blackbox_am;

namespace {

double sphere(std::span<const double> x) {
  double sum = 0.0;
  for (const double value : x) sum += value * value;
  return -sum;
}

double mean(std::span<const double> x) {
  double sum = 0.0;
  for (const double value : x) sum += value;
  return sum / static_cast<double>(x.size());
}

double codes(std::span<const double> x, std::int64_t categories) {
  double right = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto wanted = static_cast<std::int64_t>(i) % categories;
    right += static_cast<std::int64_t>(x[i]) == wanted ? 1.0 : 0.0;
  }
  return right;
}

}  // namespace

double linear(std::span<const double> x, std::size_t shift) {
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += (static_cast<double>((i + shift) % 7) - 3.0) * x[i];
  }
  return sum;
}

Model::Model(const Json& description, bool stimuli, double pause_ms)
    : stimuli_(stimuli), pause_ms_(pause_ms) {
  const Arguments given(description);
  name_ = given.at("name").get<std::string>();
  constexpr std::array<std::string_view, 8> known{"sphere", "linear", "codes",  "mean",
                                                  "units",  "nan",    "throws", "short"};
  if (std::find(known.begin(), known.end(), name_) == known.end()) {
    throw DriverError("unknown model function: " + name_);
  }
  shift_ = given.number<std::size_t>("shift").value_or(0);
  if (name_ == "codes") categories_ = given.at("categories").get<std::int64_t>();
  if (name_ == "units") units_ = given.at("units").get<std::size_t>();
  if (name_ == "nan") every_ = given.at("every").get<std::int64_t>();
  if (name_ == "throws") after_ = given.at("after").get<std::int64_t>();
}

bam::Form Model::form() const {
  return name_ == "units" ? bam::Form::activations : bam::Form::scores;
}

void Model::measure(std::span<const double> x, std::vector<double>& scores) {
  ++number_;
  if (pause_ms_ > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(pause_ms_));
  }
  if (name_ == "throws" && number_ > after_) throw ModelError("the rig fell over");
  if (name_ == "units") {
    for (std::size_t j = 0; j < units_; ++j) scores.push_back(linear(x, j));
  } else if (name_ == "linear") {
    scores.push_back(linear(x, shift_));
  } else if (name_ == "codes") {
    scores.push_back(codes(x, categories_));
  } else if (name_ == "mean") {
    scores.push_back(mean(x));
  } else if (name_ == "nan" && number_ % every_ == 0) {
    scores.push_back(std::numeric_limits<double>::quiet_NaN());
  } else {
    scores.push_back(sphere(x));
  }
}

std::vector<double> Model::operator()(const bam::Candidates& candidates) {
  ++calls;
  std::vector<double> scores;
  const std::size_t rows = candidates.size() - (name_ == "short" ? 1 : 0);
  for (std::size_t i = 0; i < rows; ++i) {
    const bam::Candidate one = candidates[i];
    measure((stimuli_ ? one.stimulus : one.latent).to_doubles(), scores);
  }
  measured += static_cast<std::int64_t>(rows);
  return scores;
}

}  // namespace driver
