/// One study on a server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "blackbox_am/calls.hpp"
#include "blackbox_am/candidates.hpp"
#include "blackbox_am/progress.hpp"
#include "blackbox_am/spec.hpp"
#include "blackbox_am/watch.hpp"

namespace blackbox_am {

namespace v1 {
class Study;
class TellRequest;
}  // namespace v1
class Connection;

struct BestOptions {
  /// Whether to render each stimulus, and its type: uint8 (0..255) or float32 (0..1).
  bool stimuli = false;
  Dtype dtype = Dtype::uint8;
  /// Only these targets; empty: all.
  std::vector<std::int32_t> targets{};
};

struct WaitOptions {
  /// None: no limit. The study can still be active after this time.
  std::optional<Seconds> timeout{};
  Seconds reconnect = default_reconnect;
  std::stop_token stop{};
};

/// A handle of a study. It holds the id only: the server has all data. It can be copied, and used
/// from any thread. It keeps the connection open. Every method throws `Error` or a class below it.
class Study {
 public:
  [[nodiscard]] const std::string& id() const noexcept { return id_; }

  [[nodiscard]] StudyProgress progress(const CallOptions& options = {}) const;
  /// The message of the wire, with all fields. Include `messages.hpp` to use it.
  [[nodiscard]] v1::Study message(const CallOptions& options = {}) const;

  // Follow
  /// Past and new events, until the study ends; survives restarts of the server.
  [[nodiscard]] Watch watch(WatchOptions options = {}) const;
  /// Calls `on_event` for each event. Returns whether the study has ended.
  bool watch(const std::function<void(const Event&)>& on_event, WatchOptions options = {}) const;
  /// Waits until the study has ended or is paused.
  StudyProgress wait(const WaitOptions& options = {}) const;
  /// The best candidate of each target that has one.
  [[nodiscard]] std::vector<Best> best(const BestOptions& options = {},
                                       const CallOptions& call = {}) const;
  /// The scores of all closed generations after number `after`, in order.
  [[nodiscard]] std::vector<Generation> generations(std::int32_t after = -1,
                                                    const CallOptions& options = {}) const;

  // Measure
  /// Candidates to measure. Waits until there are any: see `AskOptions::wait`.
  [[nodiscard]] Candidates ask(const AskOptions& options = {}) const;
  /// Sends one score for each candidate, nan where a measurement failed. Durable when it returns;
  /// sending them again is harmless. Throws ShapeMismatch for another number of scores.
  TellResult tell(std::span<const std::uint64_t> ids, std::span<const double> scores,
                  const TellOptions& options = {}) const;
  TellResult tell(const Candidates& candidates, std::span<const double> scores,
                  const TellOptions& options = {}) const {
    return tell(candidates.ids, scores, options);
  }
  /// Sends rows of numbers (N, U), float32 or float64.
  TellResult tell(std::span<const std::uint64_t> ids, const TensorView& values, Form form,
                  const TellOptions& options = {}) const;
  /// Extends a lease. Returns the number of candidates that are still held.
  /// Throws NotFound if the lease has expired, or if all its candidates are told.
  std::int32_t renew(const std::string& lease_id, Seconds lease = Seconds(60.0),
                     const CallOptions& options = {}) const;
  /// Asks, measures and tells until the study ends or `options.ask.stop` says so.
  ///
  /// Rows are sent, and the lease is renewed, by a thread of its own: the measurements of one batch
  /// never wait for the network. What was measured is sent also when `measure` throws, when the
  /// loop is stopped, and after a restart of the server. An exception of `measure` ends the loop
  /// and comes out unchanged. A study that ends meanwhile is no error.
  AskTellResult ask_tell(const Measure& measure, const AskTellOptions& options = {}) const;
  /// The same with one call for all candidates of an ask. Throws ShapeMismatch, before anything is
  /// sent, if `measure` returns another number of values than the form needs.
  AskTellResult ask_tell_batches(const MeasureAll& measure,
                                 const AskTellOptions& options = {}) const;

  // Control
  StudyProgress pause(const CallOptions& options = {}) const;
  /// Sets a paused or failed study going; `adopt`: with the models that the server has now.
  StudyProgress resume(bool adopt = false, const CallOptions& options = {}) const;
  /// Ends the study for good.
  StudyProgress cancel(const CallOptions& options = {}) const;
  /// Raises limits; a study that had used its budget up continues.
  StudyProgress extend(const Extension& limits, const CallOptions& options = {}) const;
  /// Deletes the study and all its data.
  void remove(const CallOptions& options = {}) const;

 private:
  friend class Client;
  using FillRows = std::function<void(v1::TellRequest&, std::size_t start, std::size_t count)>;

  Study(std::shared_ptr<Connection> connection, std::string id);
  TellResult send(std::span<const std::uint64_t> ids, std::size_t row_bytes, const FillRows& fill,
                  const TellOptions& options) const;

  std::shared_ptr<Connection> connection_;
  std::string id_;
  std::string name_;
};

}  // namespace blackbox_am
