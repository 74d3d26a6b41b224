#include "messages_internal.hpp"

namespace blackbox_am {

v1::DescribeOracleResponse to_message(const OracleDescription& description,
                                      const std::string& name) {
  v1::DescribeOracleResponse message;
  message.set_oracle(name);
  message.set_kind(description.kind);
  for (const Capability capability : description.capabilities) {
    message.add_capabilities(static_cast<v1::Capability>(capability));
  }
  message.set_deterministic(description.deterministic);
  message.mutable_stimulus_shape()->Assign(description.stimulus_shape.begin(),
                                           description.stimulus_shape.end());
  for (const Layer& layer : description.layers) {
    v1::Layer* added = message.add_layers();
    added->set_name(layer.name);
    added->set_kind(layer.kind);
    added->mutable_shape()->Assign(layer.shape.begin(), layer.shape.end());
    added->mutable_axes()->Assign(layer.axes.begin(), layer.axes.end());
    added->set_units(layer.units);
    added->set_after_nonlinearity(layer.after_nonlinearity);
    added->mutable_labels()->Assign(layer.labels.begin(), layer.labels.end());
  }
  message.set_batch_size(description.batch_size);
  message.set_fingerprint(description.fingerprint);
  message.mutable_notes()->Assign(description.notes.begin(), description.notes.end());
  return message;
}

OracleDescription from_message(const v1::DescribeOracleResponse& message) {
  OracleDescription found;
  found.kind = message.kind();
  found.capabilities.clear();
  for (const int capability : message.capabilities()) {
    found.capabilities.push_back(static_cast<Capability>(capability));
  }
  found.deterministic = message.deterministic();
  found.stimulus_shape = {message.stimulus_shape().begin(), message.stimulus_shape().end()};
  for (const auto& layer : message.layers()) {
    found.layers.push_back({.name = layer.name(),
                            .kind = layer.kind(),
                            .shape = {layer.shape().begin(), layer.shape().end()},
                            .axes = {layer.axes().begin(), layer.axes().end()},
                            .units = layer.units(),
                            .labels = {layer.labels().begin(), layer.labels().end()},
                            .after_nonlinearity = layer.after_nonlinearity()});
  }
  found.batch_size = message.batch_size() == 0 ? 1 : message.batch_size();
  found.fingerprint = message.fingerprint();
  found.notes = {message.notes().begin(), message.notes().end()};
  return found;
}

}  // namespace blackbox_am
