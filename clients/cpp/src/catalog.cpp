#include "blackbox_am/client.hpp"
#include "connection.hpp"
#include "messages_internal.hpp"
#include "pages.hpp"

namespace blackbox_am {

namespace {

using Catalog = v1::CatalogService::Stub;

}  // namespace

ServerInfo Client::server_info(const CallOptions& options) const {
  const auto answer = connection_->call<v1::GetServerInfoResponse>(
      connection_->catalog, &Catalog::GetServerInfo, v1::GetServerInfoRequest(), options);
  return {.version = answer.version(),
          .api_version = answer.api_version(),
          .device = answer.device(),
          .features = {answer.features().begin(), answer.features().end()},
          .max_message_bytes = answer.limits().max_message_bytes(),
          .max_stream_bytes = answer.limits().max_stream_bytes(),
          .max_page_size = answer.limits().max_page_size(),
          .max_targets = answer.limits().max_targets()};
}

std::vector<ListedOracle> Client::oracles(const CallOptions& options) const {
  std::vector<ListedOracle> found;
  v1::ListOraclesRequest request;
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::ListOraclesResponse>(
        connection_->catalog, &Catalog::ListOracles, request, options);
    for (const auto& oracle : page.oracles()) {
      found.push_back({oracle.name(), from_message(oracle.description()), oracle.problem()});
    }
    return page.next_page_token();
  });
  return found;
}

std::vector<ListedGenerator> Client::generators(const CallOptions& options) const {
  std::vector<ListedGenerator> found;
  v1::ListGeneratorsRequest request;
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::ListGeneratorsResponse>(
        connection_->catalog, &Catalog::ListGenerators, request, options);
    for (const auto& one : page.generators()) {
      found.push_back({.name = one.name(),
                       .kind = one.kind(),
                       .summary = one.summary(),
                       .stimulus_shape = {one.stimulus_shape().begin(), one.stimulus_shape().end()},
                       .dimension = one.space().dimension(),
                       .differentiable = one.differentiable(),
                       .problem = one.problem()});
    }
    return page.next_page_token();
  });
  return found;
}

std::vector<std::string> Client::optimizers(const CallOptions& options) const {
  std::vector<std::string> found;
  v1::ListOptimizersRequest request;
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::ListOptimizersResponse>(
        connection_->catalog, &Catalog::ListOptimizers, request, options);
    for (const auto& one : page.optimizers()) found.push_back(one.plug_in().name());
    return page.next_page_token();
  });
  return found;
}

std::vector<std::string> Client::units(const std::string& oracle, const std::string& layer,
                                       const CallOptions& options) const {
  std::vector<std::string> found;
  v1::ListUnitsRequest request;
  request.set_oracle(oracle);
  request.set_layer(layer);
  request.set_page_size(1000);
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::ListUnitsResponse>(
        connection_->catalog, &Catalog::ListUnits, request, options);
    found.insert(found.end(), page.units().begin(), page.units().end());
    return page.next_page_token();
  });
  return found;
}

OracleDescription Client::describe_oracle(const std::string& oracle,
                                          const CallOptions& options) const {
  v1::DescribeOracleRequest request;
  request.set_oracle(oracle);
  return from_message(connection_->call<v1::DescribeOracleResponse>(
      connection_->oracles, &v1::OracleService::Stub::DescribeOracle, request, options));
}

}  // namespace blackbox_am
