// Studies on a real server.

#include <cmath>
#include <limits>
#include <ranges>
#include <set>
#include <thread>

#include "blackbox_am/blackbox_am.hpp"
#include "blackbox_am/messages.hpp"
#include "harness.hpp"
#include "server_process.hpp"

namespace bam = blackbox_am;

static_assert(std::ranges::input_range<bam::Watch>);

namespace {

const bam::Client& client() {
  static const harness::Server server;
  static const bam::Client connected = bam::connect(server.address());
  return connected;
}

bam::StudySpec small(std::int32_t queries = 20) {
  bam::StudySpec spec;
  spec.targets = {"neuron:0"};
  spec.space = bam::Space::box(4, -1.0, 1.0);
  spec.optimizer = "random";
  spec.parameters = {{"population", 10.0}};
  spec.queries_per_target = queries;
  spec.seed = 3;
  return spec;
}

double first_number(const bam::Candidate& candidate) { return candidate.latent.as<float>()[0]; }

}  // namespace

TEST(a_study_from_its_creation_to_its_end) {
  bam::StudySpec spec = small();
  spec.labels = {{"made-by", "cpp"}};
  const bam::Study study = client().create(spec, {.study_id = "whole"});
  CHECK_EQUAL(study.id(), "whole");
  const bam::AskTellResult result = study.ask_tell(first_number);
  CHECK(result.done);
  CHECK_EQUAL(result.measured, 20);
  CHECK_EQUAL(result.accepted, 20);
  CHECK_EQUAL(bam::name_of(result.state), "SUCCEEDED");
  const bam::StudyProgress progress = study.progress();
  CHECK_EQUAL(progress.accounting.search_rows, 20);
  CHECK_EQUAL(*progress.seed, 3);
  CHECK_EQUAL(progress.population, 10);
  CHECK_EQUAL(progress.units.at(0), "neuron:0");
  const auto best = study.best();
  CHECK_EQUAL(best.size(), std::size_t{1});
  CHECK_EQUAL(best[0].score, static_cast<double>(best[0].latent.as<float>()[0]));
  const auto generations = study.generations();
  CHECK_EQUAL(generations.size(), std::size_t{2});
  CHECK_EQUAL(study.generations(0).size(), std::size_t{1});
  CHECK_EQUAL(generations[1].scores.as<double>().size(), std::size_t{10});
  const auto listed = client().studies({.states = {}, .labels = {{"made-by", "cpp"}}});
  CHECK_EQUAL(listed.size(), std::size_t{1});
  CHECK_EQUAL(listed[0].labels.at("made-by"), "cpp");
}

TEST(the_events_have_no_gaps) {
  const bam::Study study = client().create(small(), {.study_id = "events"});
  study.ask_tell(first_number);
  std::int64_t last = 0;
  std::set<std::string_view> kinds;
  bam::Watch events = study.watch();
  for (const bam::Event& event : events) {
    CHECK_EQUAL(event.sequence, last + 1);
    last = event.sequence;
    kinds.insert(event.kind());
  }
  CHECK(events.ended());
  CHECK(!events.next());
  CHECK_EQUAL(last, study.progress().sequence);
  CHECK(kinds.contains("created") && kinds.contains("generation_closed"));
  int later = 0;
  CHECK(study.watch([&](const bam::Event&) { ++later; }, {.after_sequence = last - 1}));
  CHECK_EQUAL(later, 1);
}

TEST(a_watch_ends_with_its_time_and_its_token) {
  const bam::Study study = client().create(small(), {.study_id = "quiet"});
  CHECK(!study.watch([](const bam::Event&) {}, {.timeout = bam::Seconds(0.3)}));
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    source.request_stop();
  });
  CHECK(!study.watch([](const bam::Event&) {}, {.stop = source.get_token()}));
  const bam::StudyProgress waited = study.wait({.timeout = bam::Seconds(0.3)});
  CHECK(bam::is_active(waited.state));
}

TEST(a_watch_that_is_left_early_ends_its_call) {
  const bam::Study study = client().create(small(), {.study_id = "left"});
  for (const bam::Event& event : study.watch()) {
    CHECK_EQUAL(event.sequence, 1);
    break;
  }
}

TEST(failed_measurements_are_data) {
  const bam::Study study = client().create(small(), {.study_id = "nans"});
  int number = 0;
  const auto result = study.ask_tell([&](const bam::Candidate& candidate) {
    return ++number % 2 == 0 ? std::nan("") : first_number(candidate);
  });
  CHECK_EQUAL(result.failed, 10);
  CHECK_EQUAL(study.progress().accounting.failed_rows, 10);
}

TEST(wrong_measurements_are_refused) {
  const bam::Study study = client().create(small(), {.study_id = "wrong"});
  const bam::Candidates candidates = study.ask({.max_candidates = 3});
  CHECK_EQUAL(candidates.size(), std::size_t{3});
  const std::vector<double> two(2, 0.0);
  const std::vector<double> three(3, std::numeric_limits<double>::infinity());
  CHECK_THROWS(bam::ShapeMismatch, "for each of 3 candidates, got 2 numbers",
               study.tell(candidates, two));
  CHECK_THROWS(bam::InvalidInput, "", study.tell(candidates, three));
  const std::vector<std::uint64_t> never{1ULL << 40};
  CHECK_THROWS(bam::InvalidInput, "", study.tell(never, std::vector<double>{1.0}));
  const auto flat = bam::Tensor::of<double>({3}, three);
  CHECK_THROWS(bam::ShapeMismatch, "float64 of shape (3,)",
               study.tell(candidates.ids, flat, bam::Form::activations));
  CHECK_THROWS(bam::ShapeMismatch, "got 1 numbers", study.ask_tell_batches([](const auto&) {
    return std::vector<double>{1.0};
  }));
  CHECK_EQUAL(study.progress().accounting.search_rows, 0);
}

TEST(rows_of_units) {
  bam::StudySpec spec = small(10);
  spec.targets = {bam::Objective({"neuron:0", "neuron:1"})};
  const bam::Study study = client().create(spec, {.study_id = "units"});
  bam::AskTellOptions options;
  options.form = bam::Form::activations;
  const auto measure = [](const bam::Candidates& candidates) {
    std::vector<double> values;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      values.push_back(static_cast<double>(i));
      values.push_back(2.0);
    }
    return values;
  };
  CHECK(study.ask_tell_batches(measure, options).done);
  CHECK_EQUAL(study.best().at(0).score, (9.0 + 2.0) / 2.0);
  CHECK_EQUAL(study.best().at(0).values.as<double>()[0], 9.0);
}

TEST(what_others_hold_is_waited_for) {
  const bam::Study study = client().create(small(10), {.study_id = "held"});
  CHECK_EQUAL(study.ask().size(), std::size_t{10});
  const bam::Candidates none = study.ask({.wait = bam::Seconds(0.2)});
  CHECK(none.empty() && !none.done && none.retry_after.count() > 0);
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    source.request_stop();
  });
  CHECK_THROWS(bam::Stopped, "", study.ask({.stop = source.get_token()}));
}

TEST(a_study_that_ends_while_asked) {
  const bam::Study study = client().create(small(10), {.study_id = "ends"});
  static_cast<void>(study.ask());
  std::jthread ender([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    study.cancel();
  });
  const bam::Candidates none = study.ask();
  CHECK(none.done && none.empty());
  CHECK_EQUAL(bam::name_of(none.state), "CANCELLED");
}

TEST(a_study_that_ends_while_measured) {
  const bam::Study study = client().create(small(), {.study_id = "ends-measured"});
  const auto result = study.ask_tell([&](const bam::Candidate& candidate) {
    if (candidate.id % 8 == 7) study.cancel();
    return first_number(candidate);
  });
  CHECK(result.done);
  CHECK_EQUAL(bam::name_of(result.state), "CANCELLED");
}

TEST(control) {
  const bam::Study study = client().create(small(), {.study_id = "control"});
  CHECK_EQUAL(bam::name_of(study.pause().state), "PAUSED");
  CHECK(study.wait().state == bam::StudyState::paused);
  CHECK(bam::is_active(study.resume().state));
  CHECK_EQUAL(study.extend({.queries_per_target = 30}).queries_per_target, 30);
  CHECK_THROWS(bam::InvalidInput, "queries_per_target must be above 0",
               study.extend({.queries_per_target = 0}));
  CHECK_EQUAL(study.ask_tell(first_number).measured, 30);
  CHECK(bam::is_active(study.extend({.queries_per_target = 40}).state));
  CHECK_EQUAL(bam::name_of(study.cancel().state), "CANCELLED");
  CHECK_THROWS(bam::StudyClosed, "", study.extend({.queries_per_target = 50}));
  study.remove();
  CHECK_THROWS(bam::NotFound, "", study.progress());
}

TEST(creation_again_and_in_another_way) {
  const bam::Study study = client().create(small(), {.study_id = "again"});
  CHECK_EQUAL(client().create(small(), {.study_id = "again"}).id(), study.id());
  bam::StudySpec other = small();
  other.seed = 4;
  CHECK_THROWS(bam::StudyExists, "", client().create(other, {.study_id = "again"}));
  CHECK_EQUAL(client().preview(small()).population, 10);
  CHECK(client().preview(small()).study_id.empty());
  bam::v1::StudySpec message = bam::to_message(small());
  message.mutable_labels()->insert({"from", "message"});
  const auto progress = client().create(message).progress();
  CHECK_EQUAL(progress.labels.at("from"), "message");
}

TEST(bad_specifications_name_the_field) {
  bam::StudySpec spec = small();
  spec.generator = "tiny";
  CHECK_THROWS(bam::InvalidSpec, "got both", client().create(spec));
  spec = small();
  spec.targets = {};
  CHECK_EQUAL(CHECK_THROWS(bam::InvalidInput, "", client().create(spec)).field(), "spec.targets");
  spec = small();
  spec.targets = {"neuron:0", "neuron:x"};
  CHECK(CHECK_THROWS(bam::InvalidInput, "", client().create(spec)).field().starts_with(
      "spec.targets[1]"));
  spec = small();
  spec.optimizer = "sgdd";
  CHECK_THROWS(bam::Error, "", client().create(spec));
  CHECK_EQUAL(CHECK_THROWS(bam::InvalidInput, "study id", client().create(
                  small(), {.study_id = "Not An Id"})).field(), "study_id");
  CHECK_THROWS(bam::NotFound, "", client().study("nobody-made-this"));
}

TEST(expressions_are_objectives) {
  bam::StudySpec spec = small(10);
  spec.targets = {bam::Objective::of_expression("neuron:0 - 0.5*neuron:1")};
  CHECK_EQUAL(client().create(spec).progress().units.size(), std::size_t{2});
}

TEST(time_limits_and_stopped_calls) {
  const bam::Study study = client().create(small(), {.study_id = "limits"});
  CHECK_THROWS(bam::ServerUnavailable, "did not answer in time",
               study.progress({.timeout = bam::Seconds(1e-6)}));
  std::stop_source source;
  source.request_stop();
  CHECK_THROWS(bam::Stopped, "", study.progress({.stop = source.get_token()}));
}

TEST(generators_and_artifacts) {
  const bam::Tensor latents = client().sample("tiny", 70, 5);
  CHECK_EQUAL(bam::in_words(latents.shape()), "(70, 48)");
  const bam::Tensor pictures = client().render("tiny", latents);
  CHECK_EQUAL(bam::in_words(pictures.shape()), "(70, 3, 4, 4)");
  CHECK(pictures.dtype() == bam::Dtype::uint8);
  const bam::Tensor last = client().render(
      "tiny", latents.view().rows(69, 1), {.dtype = bam::Dtype::float32, .targets = {}});
  CHECK(std::abs(last.as<float>()[0] * 255.0F - pictures.row(69).as<std::uint8_t>()[0]) <= 0.51F);
  CHECK_THROWS(bam::NotFound, "", client().sample("nothing", 1));
  CHECK_THROWS(bam::InvalidInput, "for each of 70 rows",
               client().render("tiny", latents, {.targets = {0, 0}}));
  CHECK_THROWS(bam::InvalidInput, "", client().render("tiny", bam::Tensor()));
  const std::vector<std::byte> data(3 << 20, std::byte{7});
  const std::string digest = client().write_artifact(data);
  CHECK(client().read_artifact(digest) == data);
  CHECK(client().read_artifact(client().write_artifact({})).empty());
  CHECK_THROWS(bam::NotFound, "", client().read_artifact(std::string(64, 'a')));
}
