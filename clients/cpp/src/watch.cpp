#include "blackbox_am/watch.hpp"

#include <grpcpp/support/sync_stream.h>

#include "blackbox_am/study.hpp"
#include "connection.hpp"
#include "messages_internal.hpp"

namespace blackbox_am {

class Watch::State {
 public:
  State(std::shared_ptr<Connection> connection, const std::string& name, WatchOptions options)
      : connection_(std::move(connection)),
        options_(std::move(options)),
        deadline_(time_after(options_.timeout)),
        attempts_(options_.reconnect, options_.stop, deadline_) {
    request_.set_name(name);
    request_.set_after_sequence(options_.after_sequence);
    *request_.mutable_min_interval() = to_message(options_.min_interval, "min_interval");
  }

  ~State() { close(); }

  std::optional<Event> next() {
    while (!over_) {
      try {
        if (auto event = read()) return event;
      } catch (const Stopped&) {
        over_ = true;
      } catch (const ServerUnavailable& error) {
        lost(error);
      } catch (...) {
        over_ = true;
        throw;
      }
    }
    return {};
  }

  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  [[nodiscard]] bool expired() const {
    return deadline_ && std::chrono::steady_clock::now() >= *deadline_;
  }

  void lost(const ServerUnavailable& error) {
    if (expired()) {
      over_ = true;
      return;
    }
    try {
      attempts_.failed(error);
      connection_->connect_again();
    } catch (const Stopped&) {
      over_ = true;
    } catch (...) {
      over_ = true;
      throw;
    }
  }

  /// The next event of the call in progress, or of a new one; none where the call has ended well.
  std::optional<Event> read() {
    if (!reader_) {
      call_.emplace(*connection_, left_until(deadline_), options_.stop);
      reader_ = connection_->studies->WatchStudy(&call_->context(), request_);
    }
    v1::WatchStudyResponse update;
    while (reader_->Read(&update)) {
      attempts_.answered();
      if (!update.has_event() || update.event().sequence() <= request_.after_sequence()) continue;
      request_.set_after_sequence(update.event().sequence());
      return from_message(update.event());
    }
    const grpc::Status status = reader_->Finish();
    reader_.reset();
    call_->check(status);
    over_ = ended_ = true;
    return {};
  }

  void close() noexcept {
    if (!reader_) return;
    call_->context().TryCancel();
    v1::WatchStudyResponse rest;
    while (reader_->Read(&rest)) {  // a call must be read to its end before it is finished
    }
    reader_->Finish();
    reader_.reset();
  }

  std::shared_ptr<Connection> connection_;
  WatchOptions options_;
  std::optional<SteadyTime> deadline_;
  Reconnecting attempts_;
  v1::WatchStudyRequest request_;
  std::optional<Call> call_;
  std::unique_ptr<grpc::ClientReader<v1::WatchStudyResponse>> reader_;
  bool over_ = false;
  bool ended_ = false;
};

Watch::Watch(std::unique_ptr<State> state) : state_(std::move(state)) {}
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&&) noexcept = default;
Watch::~Watch() = default;

std::optional<Event> Watch::next() { return state_->next(); }

bool Watch::ended() const noexcept { return state_->ended(); }

Watch Study::watch(WatchOptions options) const {
  return Watch(std::make_unique<Watch::State>(connection_, name_, std::move(options)));
}

bool Study::watch(const std::function<void(const Event&)>& on_event, WatchOptions options) const {
  Watch events = watch(std::move(options));
  for (const Event& event : events) on_event(event);
  return events.ended();
}

}  // namespace blackbox_am
