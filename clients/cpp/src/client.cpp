#include "blackbox_am/client.hpp"

#include "connection.hpp"
#include "messages_internal.hpp"
#include "pages.hpp"

namespace blackbox_am {

namespace {

using Studies = v1::StudyService::Stub;

v1::CreateStudyRequest creation(const v1::StudySpec& spec, const CreateOptions& options) {
  if (!options.study_id.empty()) static_cast<void>(study_name(options.study_id));
  v1::CreateStudyRequest request;
  *request.mutable_spec() = spec;
  request.set_study_id(options.study_id);
  request.set_request_id(options.request_id);
  request.set_adopt(options.adopt);
  return request;
}

v1::Study created(const Connection& connection, const v1::CreateStudyRequest& request,
                  const CallOptions& call) {
  return connection
      .call<v1::CreateStudyResponse>(connection.studies, &Studies::CreateStudy, request, call)
      .study();
}

}  // namespace

Client::Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

Client connect(const std::string& target, const ConnectOptions& options) {
  Client client(std::make_shared<Connection>(target, options));
  const std::string theirs = client.server_info().api_version;
  if (theirs != api_version) {
    throw Unsupported("the server at " + target + " speaks version " +
                      (theirs.empty() ? "unknown" : theirs) +
                      " of the API, this client version " + api_version +
                      "; use the client of the version that the server runs");
  }
  return client;
}

const std::string& Client::target() const noexcept { return connection_->target; }

Study Client::create(const StudySpec& spec, const CreateOptions& options,
                     const CallOptions& call) const {
  return create(to_message(spec), options, call);
}

Study Client::create(const v1::StudySpec& spec, const CreateOptions& options,
                     const CallOptions& call) const {
  const v1::Study study = created(*connection_, creation(spec, options), call);
  return Study(connection_, study_id(study.name()));
}

StudyProgress Client::preview(const StudySpec& spec, const CreateOptions& options,
                              const CallOptions& call) const {
  return preview(to_message(spec), options, call);
}

StudyProgress Client::preview(const v1::StudySpec& spec, const CreateOptions& options,
                              const CallOptions& call) const {
  v1::CreateStudyRequest request = creation(spec, options);
  request.set_validate_only(true);
  return from_message(created(*connection_, request, call));
}

Study Client::study(const std::string& study_id, const CallOptions& options) const {
  Study study(connection_, study_id);
  static_cast<void>(study.progress(options));  // throws if there is none
  return study;
}

std::vector<StudyProgress> Client::studies(const ListOptions& which,
                                           const CallOptions& options) const {
  v1::ListStudiesRequest request;
  request.set_page_size(1000);
  for (const StudyState state : which.states) {
    request.add_states(static_cast<v1::StudyState>(state));
  }
  request.mutable_labels()->insert(which.labels.begin(), which.labels.end());
  std::vector<StudyProgress> found;
  walk([&](const std::string& token) {
    request.set_page_token(token);
    const auto page = connection_->call<v1::ListStudiesResponse>(
        connection_->studies, &Studies::ListStudies, request, options);
    for (const v1::Study& study : page.studies()) found.push_back(from_message(study));
    return page.next_page_token();
  });
  return found;
}

}  // namespace blackbox_am
