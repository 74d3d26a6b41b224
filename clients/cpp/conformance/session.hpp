/// The verbs of the driver protocol.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "blackbox_am/blackbox_am.hpp"
#include "encoding.hpp"

namespace driver {

/// A watch that goes on in a thread, and the events that were not fetched yet.
class BackgroundWatch {
 public:
  BackgroundWatch(const blackbox_am::Study& study, blackbox_am::WatchOptions options);
  /// Up to `count` events, once they are there, or the watch or the time is over.
  [[nodiscard]] Json next(std::size_t count, blackbox_am::Seconds timeout);

 private:
  void run(const blackbox_am::Study& study, blackbox_am::WatchOptions options,
           const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<blackbox_am::Event> events_;
  bool over_ = false;
  bool ended_ = false;
  std::exception_ptr error_;
  std::jthread thread_;  // last: it uses everything above
};

/// The connection of a driver, its watches, and what it serves.
class Session {
 public:
  Session();
  /// Carries a request out. Throws the error of the client.
  [[nodiscard]] Json answer(const std::string& verb, const Json& request);

 private:
  using Verb = std::function<Json(const Arguments&)>;

  void add_connection_verbs();
  void add_study_verbs();
  void add_measuring_verbs();
  void add_watch_verbs();
  void add_catalogue_verbs();
  void add_oracle_verbs();
  [[nodiscard]] const blackbox_am::Client& client() const;
  [[nodiscard]] blackbox_am::Study study(const Arguments& given) const;
  [[nodiscard]] Json connect(const Arguments& given);
  [[nodiscard]] Json ask(const Arguments& given) const;
  [[nodiscard]] Json tell(const Arguments& given) const;
  [[nodiscard]] Json ask_tell(const Arguments& given) const;
  void close();

  std::map<std::string, Verb> verbs_;
  std::optional<blackbox_am::Client> client_;
  std::map<std::string, std::unique_ptr<BackgroundWatch>> watches_;
  std::optional<blackbox_am::OracleServer> oracle_;
};

}  // namespace driver
