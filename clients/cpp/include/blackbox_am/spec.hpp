/// What a study searches for.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace blackbox_am {

/// A parameter of a plug-in.
using Parameter = std::variant<double, std::string, bool>;
using Parameters = std::map<std::string, Parameter>;
using Labels = std::map<std::string, std::string>;

/// One target: an objective that the search maximises. A string is the address of one unit;
/// several strings are units whose mean counts: `Objective{"fc:1", "fc:2"}`.
struct Objective {
  Objective() = default;
  Objective(const char* unit) : quantities{unit} {}         // NOLINT: a unit is an objective
  Objective(std::string unit) : quantities{std::move(unit)} {}  // NOLINT
  Objective(std::initializer_list<std::string> units) : quantities(units) {}  // NOLINT

  /// A registered name such as `mean` or `weighted`; empty: `mean`.
  std::string kind{};
  /// Units of the model (`fc:3`) and measures of the stimulus (`stimulus.tv`).
  std::vector<std::string> quantities{};
  /// One weight for each quantity (`weighted`) or for each term (`sum`).
  std::vector<double> weights{};
  Parameters parameters{};
  /// Terms of `sum` and `product`.
  std::vector<Objective> terms{};
  /// The objective as text, in place of all other fields: `head:3 - 0.5*head:5`.
  std::string expression{};

  /// The mean of several units, from a vector.
  static Objective mean_of(std::vector<std::string> units) {
    Objective objective;
    objective.quantities = std::move(units);
    return objective;
  }
  static Objective of_expression(std::string text) {
    Objective objective;
    objective.expression = std::move(text);
    return objective;
  }
};

/// A criterion of success.
struct Criterion {
  /// A registered name such as `threshold`; `all` and `any` join terms.
  std::string kind{};
  std::vector<std::string> quantities{};
  Parameters parameters{};
  std::vector<Criterion> terms{};
};

/// A space that is searched directly: its latents are the stimuli.
struct Space {
  enum class Kind { normal = 1, sphere = 2, box = 3, categorical = 4 };

  Kind kind = Kind::normal;
  std::int32_t dimension = 0;
  /// Of a sphere; the square root of the dimension if none.
  std::optional<double> radius{};
  /// Of a box: one bound, or one for each coordinate.
  std::vector<double> low{};
  std::vector<double> high{};
  /// Of a categorical space.
  std::int32_t categories = 0;

  static Space normal(std::int32_t dimension) { return {Kind::normal, dimension, {}, {}, {}, 0}; }
  static Space sphere(std::int32_t dimension, std::optional<double> radius = {}) {
    return {Kind::sphere, dimension, radius, {}, {}, 0};
  }
  static Space box(std::int32_t dimension, double low, double high) {
    return {Kind::box, dimension, {}, {low}, {high}, 0};
  }
  static Space categorical(std::int32_t dimension, std::int32_t categories) {
    return {Kind::categorical, dimension, {}, {}, {}, categories};
  }
};

/// The search: what for, where, with what, for how long. `messages.hpp` has the message of the
/// wire for what is not here: starts, natural images, transformations, products of spaces.
struct StudySpec {
  std::vector<Objective> targets{};
  /// Either a generator of the server, ...
  std::string generator{};
  Parameters generator_parameters{};
  /// Arrays of the generator's parameters: their digests, as `Client::write_artifact` returns.
  std::map<std::string, std::string> generator_inputs{};
  /// ... or a bare space.
  std::optional<Space> space{};
  /// An oracle of the server; empty if clients measure.
  std::string oracle{};
  /// None, one for all targets, or one for each target.
  std::vector<Criterion> criteria{};
  std::string optimizer = "auto";
  Parameters parameters{};
  /// Largest number of rows measured for each target.
  std::int32_t queries_per_target = 1000;
  /// Longest duration of the search.
  std::optional<double> seconds{};
  /// A target is finished when its best score reaches this score.
  std::optional<double> target_score{};
  /// A target is finished after so many generations without a better score.
  std::optional<std::int32_t> patience{};
  /// Fraction of the queries that measures the best candidates again at the end.
  std::optional<double> recheck_fraction{};
  /// None: the server draws one.
  std::optional<std::int64_t> seed{};
  /// Whether the journal keeps all latents, and not only the best.
  bool keep_all_latents = false;
  Labels labels{};
};

/// How to create a study.
struct CreateOptions {
  /// A small letter, then small letters, digits, hyphens; 63 at most. Empty: the server chooses.
  std::string study_id{};
  /// Repeating a call with this id has no further effect.
  std::string request_id{};
  /// If the study began with another model or generator: continue with the present ones.
  bool adopt = false;
};

/// Limits to raise; none leaves a limit unchanged.
struct Extension {
  std::optional<std::int32_t> queries_per_target{};
  std::optional<double> seconds{};
  std::optional<double> target_score{};
  std::optional<std::int32_t> patience{};
};

}  // namespace blackbox_am
