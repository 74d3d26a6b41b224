/// A model of this process as an oracle, which a study on any server searches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/description.hpp"
#include "blackbox_am/tensor.hpp"

namespace blackbox_am {

/// The address of a unit, `layer[:index][@position][!reduce]`, in its parts.
struct Unit {
  std::string address{};
  std::string layer{};
  /// Its index in the layer. Always set for a layer whose only axis is `unit`: the library computes
  /// what an address without an index means there.
  std::optional<std::int64_t> index{};
  /// As it stands in the address: `center`, `cls`, `3,4`, or empty.
  std::string position{};
  /// How the values that are left become one number: `mean`, `max`, `min`, `sum` or `square`.
  std::string reduce = "mean";

  /// Throws InvalidInput for text that is not an address.
  [[nodiscard]] static Unit parse(const std::string& address);
};

/// One call: stimuli to show, units to read, and the numbers to fill in.
struct Observation {
  std::size_t rows = 0;
  /// (rows, *stimulus) in [0, 1]; of uint8 stimuli the quotient by 255.
  std::span<const float> stimuli{};
  std::span<const Unit> units{};
  /// (rows, units), to fill in. All nan before the call: what is left so is a failed measurement.
  std::span<float> activations{};

  /// The numbers of stimulus `row`.
  [[nodiscard]] std::span<const float> stimulus(std::size_t row) const {
    const std::size_t size = rows == 0 ? 0 : stimuli.size() / rows;
    return stimuli.subspan(row * size, size);
  }
  /// The activation of `unit` for stimulus `row`.
  [[nodiscard]] float& at(std::size_t row, std::size_t unit) const {
    return activations[row * units.size() + unit];
  }
};

/// Fills in the activations. It may throw: a class of `errors.hpp` reaches the caller as it is,
/// any other exception as OracleFailed with its text.
using Observe = std::function<void(const Observation&)>;

/// Certificate and key of a server, in PEM.
struct ServerTls {
  std::string certificate_file{};
  std::string key_file{};
  /// If not empty, clients must have a certificate of one of these authorities.
  std::string client_ca_file{};
};

struct ServeOptions {
  /// Name of the oracle on the wire. A request without a name means it, too.
  std::string name = "oracle";
  /// Port 0: a free one.
  std::string address = "127.0.0.1:0";
  /// Whether `Observe` may be called by several threads at once.
  bool concurrent = false;
  /// Largest message that is read; larger batches come in chunks.
  std::int32_t max_message_bytes = 32 << 20;
  std::optional<ServerTls> tls{};
};

/// A server that answers DescribeOracle, Observe, ObserveStream and grpc.health.v1. It ends with
/// its destructor: calls in progress are answered first.
class OracleServer {
 public:
  /// Where it listens, with the port that it has.
  [[nodiscard]] const std::string& address() const noexcept;
  /// Calls of the observe function so far, and rows in them.
  [[nodiscard]] std::int64_t calls() const noexcept;
  [[nodiscard]] std::int64_t rows() const noexcept;
  /// Waits until the token says so, then ends the server.
  void wait(std::stop_token stop);
  /// Ends the server; calls that take longer than `grace` are cut off.
  void shutdown(Seconds grace = Seconds(5.0));

  OracleServer(OracleServer&&) noexcept;
  OracleServer& operator=(OracleServer&&) noexcept;
  ~OracleServer();

 private:
  friend OracleServer serve_oracle(const OracleDescription&, Observe, const ServeOptions&);
  class State;
  explicit OracleServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Starts the server of an oracle. Throws InvalidInput for a description or options that make no
/// sense, and ServerUnavailable if it cannot listen at the address.
[[nodiscard]] OracleServer serve_oracle(const OracleDescription& description, Observe observe,
                                        const ServeOptions& options = {});

}  // namespace blackbox_am
