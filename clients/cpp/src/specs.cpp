#include <google/protobuf/struct.pb.h>

#include <variant>

#include "blackbox_am/errors.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

namespace {

void set_parameters(const Parameters& parameters, google::protobuf::Struct* message) {
  for (const auto& [name, value] : parameters) {
    google::protobuf::Value& field = (*message->mutable_fields())[name];
    if (const auto* number = std::get_if<double>(&value)) {
      field.set_number_value(*number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      field.set_string_value(*text);
    } else {
      field.set_bool_value(std::get<bool>(value));
    }
  }
}

void fill(const Objective& objective, v1::Objective* message) {
  message->set_kind(objective.kind);
  message->mutable_quantities()->Assign(objective.quantities.begin(), objective.quantities.end());
  message->mutable_weights()->Assign(objective.weights.begin(), objective.weights.end());
  if (!objective.parameters.empty()) {
    set_parameters(objective.parameters, message->mutable_parameters());
  }
  for (const Objective& term : objective.terms) fill(term, message->add_terms());
  message->set_expression(objective.expression);
}

void fill(const Criterion& criterion, v1::Criterion* message) {
  message->set_kind(criterion.kind);
  message->mutable_quantities()->Assign(criterion.quantities.begin(), criterion.quantities.end());
  if (!criterion.parameters.empty()) {
    set_parameters(criterion.parameters, message->mutable_parameters());
  }
  for (const Criterion& term : criterion.terms) fill(term, message->add_terms());
}

void fill(const Space& space, v1::Space* message) {
  message->set_kind(static_cast<v1::SpaceKind>(space.kind));
  message->set_dimension(space.dimension);
  if (space.radius) message->set_radius(*space.radius);
  message->mutable_low()->Assign(space.low.begin(), space.low.end());
  message->mutable_high()->Assign(space.high.begin(), space.high.end());
  message->set_categories(space.categories);
}

void fill_source(const StudySpec& spec, v1::StudySpec* message) {
  if (spec.space && !spec.generator.empty()) {
    throw InvalidSpec("expected a generator or a space, got both; leave one of them empty",
                      {.field = "spec.space"});
  }
  if (spec.space) {
    fill(*spec.space, message->mutable_space());
  } else if (!spec.generator.empty()) {
    v1::GeneratorSpec* generator = message->mutable_generator();
    generator->set_name(spec.generator);
    if (!spec.generator_parameters.empty()) {
      set_parameters(spec.generator_parameters, generator->mutable_parameters());
    }
    generator->mutable_inputs()->insert(spec.generator_inputs.begin(),
                                        spec.generator_inputs.end());
  }
}

void check_limit(const char* name, double limit) {
  if (limit > 0) return;  // false for nan, too
  throw InvalidInput(std::string(name) + " must be above 0, got " + std::to_string(limit),
                     {.field = std::string("budget.") + name});
}

}  // namespace

v1::StudySpec to_message(const StudySpec& spec) {
  v1::StudySpec message;
  fill_source(spec, &message);
  message.set_oracle(spec.oracle);
  for (const Objective& target : spec.targets) fill(target, message.add_targets());
  for (const Criterion& criterion : spec.criteria) fill(criterion, message.add_criteria());
  message.mutable_optimizer()->set_name(spec.optimizer);
  if (!spec.parameters.empty()) {
    set_parameters(spec.parameters, message.mutable_optimizer()->mutable_parameters());
  }
  v1::Budget* budget = message.mutable_budget();
  budget->set_queries_per_target(spec.queries_per_target);
  if (spec.seconds) budget->set_seconds(*spec.seconds);
  if (spec.target_score) budget->set_target_score(*spec.target_score);
  if (spec.patience) budget->set_patience(*spec.patience);
  if (spec.recheck_fraction) budget->set_recheck_fraction(*spec.recheck_fraction);
  if (spec.seed) message.set_seed(*spec.seed);
  message.set_keep_latents(spec.keep_all_latents ? v1::KEEP_LATENTS_ALL : v1::KEEP_LATENTS_BEST);
  message.mutable_labels()->insert(spec.labels.begin(), spec.labels.end());
  return message;
}

v1::Budget to_message(const Extension& limits) {
  v1::Budget budget;
  if (limits.queries_per_target) {
    check_limit("queries_per_target", *limits.queries_per_target);
    budget.set_queries_per_target(*limits.queries_per_target);
  }
  if (limits.patience) {
    check_limit("patience", *limits.patience);
    budget.set_patience(*limits.patience);
  }
  if (limits.seconds) {
    check_limit("seconds", *limits.seconds);
    budget.set_seconds(*limits.seconds);
  }
  if (limits.target_score) budget.set_target_score(*limits.target_score);
  return budget;
}

}  // namespace blackbox_am
