/// A connection to a server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/description.hpp"
#include "blackbox_am/errors.hpp"
#include "blackbox_am/progress.hpp"
#include "blackbox_am/spec.hpp"
#include "blackbox_am/study.hpp"
#include "blackbox_am/tensor.hpp"

namespace blackbox_am {

namespace v1 {
class StudySpec;
}

/// MAJOR.MINOR of the API that this client speaks; the server's must be the same.
inline constexpr const char* api_version = BLACKBOX_AM_API_VERSION;
inline constexpr const char* client_version = BLACKBOX_AM_VERSION;

/// How to encrypt a connection. All files are in PEM.
struct Tls {
  /// Certificates of the authorities to trust; empty: those of the system.
  std::string ca_file{};
  /// The client's own certificate and key, where the server asks for them.
  std::string certificate_file{};
  std::string key_file{};
  /// The name in the server's certificate, if it is not the name in the address.
  std::string server_name{};
};

struct ConnectOptions {
  /// Sent with each call. Without TLS, only to an address of this machine.
  std::string token{};
  /// None: without encryption.
  std::optional<Tls> tls{};
  /// Name of this client for leases, such as `rig-2`; no other client may have it at the same time.
  /// A client that starts again under the same name gets its own candidates back at once. None: a
  /// name that no other process of this user and machine has; empty: an anonymous client.
  std::optional<std::string> client_id{};
  /// Time limit of each call.
  Seconds timeout{30.0};
};

struct ServerInfo {
  std::string version{};
  std::string api_version{};
  /// Where optimizers and generators compute.
  std::string device{};
  std::vector<std::string> features{};
  std::int32_t max_message_bytes = 0;
  std::int64_t max_stream_bytes = 0;
  std::int32_t max_page_size = 0;
  std::int32_t max_targets = 0;
};

struct ListOptions {
  /// Only studies in one of these states; empty: all.
  std::vector<StudyState> states{};
  /// Only studies with all of these labels.
  Labels labels{};
};

struct RenderOptions {
  /// uint8 (0..255) or float32 (0..1).
  Dtype dtype = Dtype::uint8;
  /// Of a generator that tells targets apart: one for each row, or one for all rows.
  std::vector<std::int32_t> targets{};
};

/// A connection to a server. It can be copied (the copies share the connection) and used from any
/// thread. The connection closes with the last handle. Every method throws `Error` or a class
/// below it.
class Client {
 public:
  [[nodiscard]] const std::string& target() const noexcept;
  [[nodiscard]] ServerInfo server_info(const CallOptions& options = {}) const;

  // Studies
  /// Creates a study. A repeated call with the same id returns the study that is there.
  Study create(const StudySpec& spec, const CreateOptions& options = {},
               const CallOptions& call = {}) const;
  /// The same for a message of the wire; see `messages.hpp`.
  Study create(const v1::StudySpec& spec, const CreateOptions& options = {},
               const CallOptions& call = {}) const;
  /// Checks a specification, and creates nothing. The progress has no id.
  [[nodiscard]] StudyProgress preview(const StudySpec& spec, const CreateOptions& options = {},
                                      const CallOptions& call = {}) const;
  [[nodiscard]] StudyProgress preview(const v1::StudySpec& spec,
                                      const CreateOptions& options = {},
                                      const CallOptions& call = {}) const;
  /// The study with this id. Throws NotFound if there is none.
  [[nodiscard]] Study study(const std::string& study_id, const CallOptions& options = {}) const;
  /// All studies by id, without their targets.
  [[nodiscard]] std::vector<StudyProgress> studies(const ListOptions& which = {},
                                                   const CallOptions& options = {}) const;

  // Catalogue
  [[nodiscard]] std::vector<ListedOracle> oracles(const CallOptions& options = {}) const;
  [[nodiscard]] std::vector<ListedGenerator> generators(const CallOptions& options = {}) const;
  [[nodiscard]] std::vector<std::string> optimizers(const CallOptions& options = {}) const;
  /// Addresses of an oracle's units, of all layers or of one.
  [[nodiscard]] std::vector<std::string> units(const std::string& oracle,
                                               const std::string& layer = {},
                                               const CallOptions& options = {}) const;
  [[nodiscard]] OracleDescription describe_oracle(const std::string& oracle,
                                                  const CallOptions& options = {}) const;

  // Models
  /// `count` latents (N, D) of a generator's prior.
  [[nodiscard]] Tensor sample(const std::string& generator, std::int32_t count,
                              std::int64_t seed = 0, const CallOptions& options = {}) const;
  /// Stimuli (N, *stimulus) of latents (N, D): float32, or int64 codes.
  [[nodiscard]] Tensor render(const std::string& generator, const TensorView& latents,
                              const RenderOptions& how = {}, const CallOptions& options = {}) const;
  /// Activations (N, U) of an oracle's units for stimuli (N, *stimulus), uint8 or float32.
  [[nodiscard]] Tensor observe(const std::string& oracle, const TensorView& stimuli,
                               const std::vector<std::string>& units,
                               const CallOptions& options = {}) const;

  // Large values
  /// Stores bytes. Returns their digest; equal bytes have equal digests.
  std::string write_artifact(std::span<const std::byte> data, const CallOptions& options = {}) const;
  [[nodiscard]] std::vector<std::byte> read_artifact(const std::string& digest,
                                                     const CallOptions& options = {}) const;

 private:
  friend Client connect(const std::string& target, const ConnectOptions& options);
  explicit Client(std::shared_ptr<Connection> connection);
  std::shared_ptr<Connection> connection_;
};

/// Connects to the server at `target`, `host:port`, which must be running.
/// Throws ServerUnavailable if no server answers there, Unsupported if the server has another
/// version of the API, InvalidInput for options that make no sense.
[[nodiscard]] Client connect(const std::string& target = "localhost:50051",
                             const ConnectOptions& options = {});

}  // namespace blackbox_am
