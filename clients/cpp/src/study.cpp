#include "blackbox_am/study.hpp"

#include <limits>

#include "connection.hpp"
#include "messages_internal.hpp"
#include "pages.hpp"

namespace blackbox_am {

namespace {

using Studies = v1::StudyService::Stub;

}  // namespace

Study::Study(std::shared_ptr<Connection> connection, std::string id)
    : connection_(std::move(connection)), id_(std::move(id)), name_(study_name(id_)) {}

v1::Study Study::message(const CallOptions& options) const {
  v1::GetStudyRequest request;
  request.set_name(name_);
  return connection_
      ->call<v1::GetStudyResponse>(connection_->studies, &Studies::GetStudy, request, options)
      .study();
}

StudyProgress Study::progress(const CallOptions& options) const {
  return from_message(message(options));
}

StudyProgress Study::wait(const WaitOptions& options) const {
  const auto deadline = time_after(options.timeout);
  const CallOptions call{.timeout = {}, .stop = options.stop};
  StudyProgress now = progress(call);
  while (now.state == StudyState::pending || now.state == StudyState::running) {
    // One generation a second is enough while waiting for the end.
    Watch events = watch({.after_sequence = now.sequence,
                          .min_interval = Seconds(1.0),
                          .reconnect = options.reconnect,
                          .timeout = left_until(deadline),
                          .stop = options.stop});
    bool changed = false;
    while (const auto event = events.next()) {
      if (event->get_if<StateChanged>() != nullptr) {
        changed = true;
        break;
      }
    }
    if (options.stop.stop_requested()) throw Stopped();
    now = progress(call);
    if (!changed && !events.ended()) break;
  }
  return now;
}

std::vector<Best> Study::best(const BestOptions& options, const CallOptions& call) const {
  v1::GetBestRequest request;
  request.set_name(name_);
  request.set_with_stimuli(options.stimuli);
  request.set_stimulus_dtype(stimulus_dtype(options.dtype));
  request.mutable_targets()->Assign(options.targets.begin(), options.targets.end());
  std::vector<Best> found;
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::GetBestResponse>(connection_->studies,
                                                             &Studies::GetBest, request, call);
    for (const v1::Best& best : page.best()) found.push_back(from_message(best));
    return page.next_page_token();
  });
  return found;
}

std::vector<Generation> Study::generations(std::int32_t after, const CallOptions& options) const {
  v1::ListGenerationsRequest request;
  request.set_name(name_);
  request.set_page_size(1000);
  request.set_after_generation(after);
  std::vector<Generation> found;
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::ListGenerationsResponse>(
        connection_->studies, &Studies::ListGenerations, request, options);
    for (const v1::Generation& one : page.generations()) found.push_back(from_message(one));
    return page.next_page_token();
  });
  return found;
}

StudyProgress Study::pause(const CallOptions& options) const {
  v1::PauseStudyRequest request;
  request.set_name(name_);
  return from_message(connection_
                          ->call<v1::PauseStudyResponse>(connection_->studies,
                                                         &Studies::PauseStudy, request, options)
                          .study());
}

StudyProgress Study::resume(bool adopt, const CallOptions& options) const {
  v1::ResumeStudyRequest request;
  request.set_name(name_);
  request.set_adopt(adopt);
  return from_message(connection_
                          ->call<v1::ResumeStudyResponse>(connection_->studies,
                                                          &Studies::ResumeStudy, request, options)
                          .study());
}

StudyProgress Study::cancel(const CallOptions& options) const {
  v1::CancelStudyRequest request;
  request.set_name(name_);
  return from_message(connection_
                          ->call<v1::CancelStudyResponse>(connection_->studies,
                                                          &Studies::CancelStudy, request, options)
                          .study());
}

StudyProgress Study::extend(const Extension& limits, const CallOptions& options) const {
  v1::ExtendStudyRequest request;
  request.set_name(name_);
  *request.mutable_budget() = to_message(limits);
  return from_message(connection_
                          ->call<v1::ExtendStudyResponse>(connection_->studies,
                                                          &Studies::ExtendStudy, request, options)
                          .study());
}

void Study::remove(const CallOptions& options) const {
  v1::DeleteStudyRequest request;
  request.set_name(name_);
  connection_->call<v1::DeleteStudyResponse>(connection_->studies, &Studies::DeleteStudy, request,
                                             options);
}

}  // namespace blackbox_am
