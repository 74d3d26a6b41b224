/// The service of an oracle.
#pragma once

#include <string>

#include "blackbox_am/v1/oracle_service.grpc.pb.h"
#include "observing.hpp"

namespace blackbox_am {

class OracleServiceImpl final : public v1::OracleService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>;

  OracleServiceImpl(Observer& observer, std::string name)
      : observer_(observer), name_(std::move(name)) {}

  grpc::Status DescribeOracle(grpc::ServerContext* context,
                              const v1::DescribeOracleRequest* request,
                              v1::DescribeOracleResponse* response) override;
  grpc::Status Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                       v1::ObserveResponse* response) override;
  grpc::Status ObserveStream(grpc::ServerContext* context, Stream* stream) override;

 private:
  void check_name(const std::string& asked) const;
  void serve(Stream* stream);

  Observer& observer_;
  const std::string name_;
};

}  // namespace blackbox_am
