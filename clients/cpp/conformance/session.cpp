#include "session.hpp"

#include "models.hpp"
#include "oracles.hpp"

namespace driver {

namespace bam = blackbox_am;

namespace {

template <class Listed>
Json names_of(const std::vector<Listed>& listed) {
  Json names = Json::array();
  for (const Listed& one : listed) names.push_back(one.name);
  return {{"names", names}};
}

Json of_best(const bam::Best& best) {
  return {{"target", best.target},
          {"title", best.title},
          {"score", of_double(best.score)},
          {"generation", best.generation},
          {"row", best.row},
          {"latent", of_tensor(best.latent)},
          {"stimulus", best.stimulus.shape().empty() ? Json(nullptr) : of_tensor(best.stimulus)}};
}

Json of_told(const bam::TellResult& told) {
  return {{"accepted", told.accepted},     {"repeated", told.repeated},
          {"state", bam::name_of(told.state)}, {"generation", told.generation},
          {"sequence", told.sequence},     {"done", told.done}};
}

Json of_description(const bam::OracleDescription& description) {
  Json capabilities = Json::array();
  for (const auto capability : description.capabilities) {
    capabilities.push_back(bam::name_of(capability));
  }
  Json layers = Json::array();
  for (const bam::Layer& layer : description.layers) {
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"shape", layer.shape},
                      {"axes", layer.axes},
                      {"units", layer.units}});
  }
  return {{"kind", description.kind},
          {"deterministic", description.deterministic},
          {"stimulus_shape", description.stimulus_shape},
          {"capabilities", capabilities},
          {"batch_size", description.batch_size},
          {"fingerprint", description.fingerprint},
          {"layers", layers}};
}

bam::Dtype dtype_in(const Arguments& given) { return bam::dtype_of(given.text("dtype", "uint8")); }

std::vector<std::int32_t> targets_in(const Arguments& given) {
  return given.has("targets") ? given.at("targets").get<std::vector<std::int32_t>>()
                              : std::vector<std::int32_t>();
}

Json create(const bam::Client& client, const Arguments& given) {
  const bam::StudySpec spec = to_spec(given.at("spec"));
  const bam::CreateOptions options{.study_id = given.text("study_id"),
                                   .request_id = given.text("request_id"),
                                   .adopt = given.flag("adopt")};
  const bam::StudyProgress found = given.flag("validate_only")
                                       ? client.preview(spec, options)
                                       : client.create(spec, options).progress();
  return {{"study_id", found.study_id},
          {"seed", found.seed ? Json(std::to_string(*found.seed)) : Json(nullptr)},
          {"population", found.population}};
}

Json studies(const bam::Client& client, const Arguments& given) {
  bam::ListOptions which;
  for (const std::string& name : given.texts("states")) {
    which.states.push_back(bam::state_of(name));
  }
  if (given.has("labels")) which.labels = given.at("labels").get<bam::Labels>();
  Json list = Json::array();
  for (const auto& one : client.studies(which)) {
    list.push_back({{"study_id", one.study_id}, {"state", bam::name_of(one.state)}});
  }
  return {{"studies", list}};
}

Json generations(const bam::Study& study, const Arguments& given) {
  Json list = Json::array();
  for (const auto& one : study.generations(given.number<std::int32_t>("after").value_or(-1))) {
    list.push_back({{"generation", one.generation},
                    {"targets", one.targets},
                    {"scores", of_tensor(one.scores)}});
  }
  return {{"generations", list}};
}

Json best(const bam::Study& study, const Arguments& given) {
  Json list = Json::array();
  const bam::BestOptions options{
      .stimuli = given.flag("stimuli"), .dtype = dtype_in(given), .targets = targets_in(given)};
  for (const auto& one : study.best(options)) list.push_back(of_best(one));
  return {{"best", list}};
}

}  // namespace

Session::Session() {
  add_connection_verbs();
  add_study_verbs();
  add_measuring_verbs();
  add_watch_verbs();
  add_catalogue_verbs();
  add_oracle_verbs();
}

Json Session::answer(const std::string& verb, const Json& request) {
  const auto found = verbs_.find(verb);
  if (found == verbs_.end()) throw DriverError("unknown verb: " + verb);
  return found->second(Arguments(request));
}

const bam::Client& Session::client() const {
  if (!client_) throw DriverError("there is no connection; connect first");
  return *client_;
}

bam::Study Session::study(const Arguments& given) const {
  return client().study(given.at("study_id").get<std::string>());
}

void Session::close() {
  watches_.clear();
  client_.reset();
}

Json Session::connect(const Arguments& given) {
  close();
  bam::ConnectOptions options;
  options.token = given.text("token");
  if (given.has("tls") && given.at("tls") != Json(false)) {
    options.tls.emplace();
    if (given.at("tls").is_object()) {
      const Arguments files(given.at("tls"));
      options.tls->ca_file = files.text("ca");
      options.tls->certificate_file = files.text("certificate");
      options.tls->key_file = files.text("key");
    }
  }
  if (given.has("client_id")) options.client_id = given.text("client_id");
  options.timeout = given.seconds("timeout_s").value_or(options.timeout);
  client_ = bam::connect(given.at("target").get<std::string>(), options);
  return Json::object();
}

void Session::add_connection_verbs() {
  verbs_["hello"] = [this](const Arguments&) -> Json {
    Json names = Json::array();
    for (const auto& [name, verb] : verbs_) names.push_back(name);
    return {{"language", "cpp"},
            {"client_version", bam::client_version},
            {"api_version", bam::api_version},
            {"verbs", names}};
  };
  verbs_["connect"] = [this](const Arguments& given) { return connect(given); };
  verbs_["close"] = [this](const Arguments&) {
    close();
    return Json::object();
  };
  verbs_["server_info"] = [this](const Arguments&) -> Json {
    const bam::ServerInfo info = client().server_info();
    return {{"version", info.version},
            {"api_version", info.api_version},
            {"device", info.device},
            {"features", info.features},
            {"max_message_bytes", info.max_message_bytes},
            {"max_page_size", info.max_page_size}};
  };
}

void Session::add_study_verbs() {
  verbs_["create_study"] = [this](const Arguments& given) { return create(client(), given); };
  verbs_["get_study"] = [this](const Arguments& given) -> Json {
    return {{"study", of_study(study(given).progress())}};
  };
  verbs_["list_studies"] = [this](const Arguments& given) { return studies(client(), given); };
  verbs_["pause"] = [this](const Arguments& given) -> Json {
    return {{"study", of_study(study(given).pause())}};
  };
  verbs_["resume"] = [this](const Arguments& given) -> Json {
    return {{"study", of_study(study(given).resume())}};
  };
  verbs_["cancel"] = [this](const Arguments& given) -> Json {
    return {{"study", of_study(study(given).cancel())}};
  };
  verbs_["extend"] = [this](const Arguments& given) -> Json {
    const bam::Extension limits{
        .queries_per_target = given.number<std::int32_t>("queries_per_target"),
        .seconds = given.real("seconds"),
        .target_score = given.real("target_score"),
        .patience = given.number<std::int32_t>("patience")};
    return {{"study", of_study(study(given).extend(limits))}};
  };
  verbs_["delete"] = [this](const Arguments& given) {
    study(given).remove();
    return Json::object();
  };
  verbs_["generations"] = [this](const Arguments& given) {
    return generations(study(given), given);
  };
  verbs_["best"] = [this](const Arguments& given) { return best(study(given), given); };
  verbs_["wait"] = [this](const Arguments& given) -> Json {
    return {{"study", of_study(study(given).wait({.timeout = given.seconds("timeout_s")}))}};
  };
}

Json Session::ask(const Arguments& given) const {
  bam::AskOptions options;
  options.max_candidates = given.number<std::int32_t>("n").value_or(0);
  options.stimuli = given.flag("stimuli");
  options.dtype = dtype_in(given);
  options.lease = given.seconds("lease_s").value_or(options.lease);
  options.wait = given.seconds("timeout_s").value_or(bam::Seconds(0.0));
  const bam::Candidates found = study(given).ask(options);
  Json ids = Json::array();
  for (const std::uint64_t id : found.ids) ids.push_back(std::to_string(id));
  return {{"candidate_ids", ids},
          {"targets", found.targets},
          {"generation", found.generation},
          {"latents", of_tensor(found.latents)},
          {"stimuli", found.stimuli.shape().empty() ? Json(nullptr) : of_tensor(found.stimuli)},
          {"lease_id", found.lease_id},
          {"lease_s", found.lease.count()},
          {"state", bam::name_of(found.state)},
          {"done", found.done},
          {"retry_after_s", found.retry_after.count()}};
}

Json Session::tell(const Arguments& given) const {
  std::vector<std::uint64_t> ids;
  for (const Json& id : given.at("candidate_ids")) ids.push_back(to_id(id));
  if (!given.has("values")) {
    return of_told(study(given).tell(ids, to_doubles(given.at("scores"))));
  }
  const auto form = given.flag("all_units") ? bam::Form::all_units : bam::Form::activations;
  return of_told(study(given).tell(ids, to_tensor(given.at("values")), form));
}

Json Session::ask_tell(const Arguments& given) const {
  bam::AskTellOptions options;
  options.ask.stimuli = given.text("input", "latents") == "stimuli";
  options.ask.dtype = dtype_in(given);
  options.ask.max_candidates = given.number<std::int32_t>("n").value_or(0);
  Model model(given.at("model"), options.ask.stimuli, given.real("pause_ms").value_or(0.0));
  options.form = model.form();
  study(given).ask_tell_batches(std::ref(model), options);
  return {{"measured", model.measured}, {"calls", model.calls}};
}

void Session::add_measuring_verbs() {
  verbs_["ask"] = [this](const Arguments& given) { return ask(given); };
  verbs_["tell"] = [this](const Arguments& given) { return tell(given); };
  verbs_["renew"] = [this](const Arguments& given) -> Json {
    const auto lease = given.seconds("lease_s").value_or(bam::Seconds(60.0));
    return {{"held", study(given).renew(given.at("lease_id").get<std::string>(), lease)}};
  };
  verbs_["ask_tell"] = [this](const Arguments& given) { return ask_tell(given); };
}

void Session::add_watch_verbs() {
  verbs_["watch_start"] = [this](const Arguments& given) {
    bam::WatchOptions options;
    options.after_sequence = given.number<std::int64_t>("after_sequence").value_or(0);
    options.min_interval = given.seconds("min_interval_s").value_or(options.min_interval);
    options.reconnect = given.seconds("reconnect_s").value_or(options.reconnect);
    const auto name = given.at("watch").get<std::string>();
    watches_[name] = std::make_unique<BackgroundWatch>(study(given), std::move(options));
    return Json::object();
  };
  verbs_["watch_next"] = [this](const Arguments& given) {
    const auto found = watches_.find(given.at("watch").get<std::string>());
    if (found == watches_.end()) throw DriverError("there is no such watch");
    return found->second->next(given.number<std::size_t>("count").value_or(1),
                               given.seconds("timeout_s").value_or(bam::Seconds(60.0)));
  };
  verbs_["watch_stop"] = [this](const Arguments& given) {
    watches_.erase(given.at("watch").get<std::string>());
    return Json::object();
  };
}

void Session::add_catalogue_verbs() {
  verbs_["list_oracles"] = [this](const Arguments&) { return names_of(client().oracles()); };
  verbs_["list_generators"] = [this](const Arguments&) { return names_of(client().generators()); };
  verbs_["list_optimizers"] = [this](const Arguments&) -> Json {
    return {{"names", client().optimizers()}};
  };
  verbs_["list_units"] = [this](const Arguments& given) -> Json {
    return {{"units", client().units(given.at("oracle").get<std::string>(), given.text("layer"))}};
  };
  verbs_["sample"] = [this](const Arguments& given) -> Json {
    const auto seed = given.has("seed") ? to_seed(given.at("seed")) : 0;
    return {{"latents", of_tensor(client().sample(given.at("generator").get<std::string>(),
                                                  given.at("count").get<std::int32_t>(), seed))}};
  };
  verbs_["render"] = [this](const Arguments& given) -> Json {
    const bam::Tensor latents = to_tensor(given.at("latents"));
    return {{"stimuli",
             of_tensor(client().render(given.at("generator").get<std::string>(), latents,
                                       {.dtype = dtype_in(given), .targets = {}}))}};
  };
  verbs_["observe"] = [this](const Arguments& given) -> Json {
    const bam::Tensor stimuli = to_tensor(given.at("stimuli"));
    return {{"activations", of_tensor(client().observe(given.at("oracle").get<std::string>(),
                                                       stimuli, given.texts("units")))}};
  };
  verbs_["describe_oracle"] = [this](const Arguments& given) {
    return of_description(client().describe_oracle(given.at("oracle").get<std::string>()));
  };
  verbs_["write_artifact"] = [this](const Arguments& given) -> Json {
    return {{"digest", client().write_artifact(from_base64(given.at("data").get<std::string>()))}};
  };
  verbs_["read_artifact"] = [this](const Arguments& given) -> Json {
    return {{"data", to_base64(client().read_artifact(given.at("digest").get<std::string>()))}};
  };
}

void Session::add_oracle_verbs() {
  verbs_["serve_oracle"] = [this](const Arguments& given) -> Json {
    oracle_.reset();
    oracle_.emplace(serve(given));
    return {{"address", oracle_->address()}};
  };
  verbs_["stop_oracle"] = [this](const Arguments&) -> Json {
    if (!oracle_) throw DriverError("there is no oracle to stop");
    oracle_->shutdown();
    const Json answer{{"calls", oracle_->calls()}, {"rows", oracle_->rows()}};
    oracle_.reset();
    return answer;
  };
}

}  // namespace driver
