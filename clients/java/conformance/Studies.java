package io.blackboxam.conformance;

import static io.blackboxam.conformance.Request.answer;
import static io.blackboxam.conformance.Request.name;

import io.blackboxam.client.Best;
import io.blackboxam.client.Client;
import io.blackboxam.client.Spec;
import io.blackboxam.client.Study;
import io.blackboxam.v1.Budget;
import io.blackboxam.v1.CreateStudyRequest;
import io.blackboxam.v1.Space;
import io.blackboxam.v1.SpaceKind;
import io.blackboxam.v1.StudyState;
import io.blackboxam.v1.TargetProgress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The requests about studies. */
final class Studies {
    private final Driver driver;

    Studies(Driver driver) {
        this.driver = driver;
    }

    void addTo(Map<String, Driver.Verb> verbs) {
        verbs.put("create_study", this::create);
        verbs.put("get_study", request -> answer("study", json(study(request).get())));
        verbs.put("list_studies", this::list);
        verbs.put("pause", request -> answer("study", json(study(request).pause())));
        verbs.put("resume", request -> answer("study",
                json(study(request).resume(request.flag("adopt")))));
        verbs.put("cancel", request -> answer("study", json(study(request).cancel())));
        verbs.put("extend", this::extend);
        verbs.put("delete", this::delete);
        verbs.put("wait", request -> answer("study",
                json(study(request).await(request.seconds("timeout_s")))));
        verbs.put("best", this::best);
    }

    private Study study(Request request) {
        return driver.client().handle(request.text("study_id"));
    }

    private Object create(Request request) {
        CreateStudyRequest.Builder options = CreateStudyRequest.newBuilder()
                .setStudyId(request.text("study_id", ""))
                .setRequestId(request.text("request_id", ""))
                .setValidateOnly(request.flag("validate_only"))
                .setAdopt(request.flag("adopt"));
        request.need("spec");
        Study study = driver.client().create(
                spec(request.object("spec")).toBuilder().build(), options);
        var created = study.created();
        return answer("study_id", study.id(),
                "seed", created.getSpec().hasSeed() ? Long.toString(created.getSpec().getSeed()) : null,
                "population", created.getPopulation());
    }

    private static Spec spec(Request from) {
        Spec spec = Spec.of();
        for (Object target : (List<?>) from.need("targets")) {
            List<?> units = target instanceof List<?> several ? several : List.of(target);
            spec.target(units.stream().map(String.class::cast).toList());
        }
        if (from.get("generator") != null) {
            spec.generator(from.text("generator"));
        }
        if (from.get("space") != null) {
            spec.space(space(from.object("space")));
        }
        if (from.get("oracle") != null) {
            spec.oracle(from.text("oracle"));
        }
        if (from.get("optimizer") != null || from.get("parameters") != null) {
            spec.optimizer(from.text("optimizer", "auto"), from.object("parameters").arguments());
        }
        if (from.get("queries_per_target") != null) {
            spec.queriesPerTarget(from.whole("queries_per_target"));
        }
        if (from.get("seconds") != null) {
            spec.seconds(Request.number(from.get("seconds")));
        }
        if (from.get("target_score") != null) {
            spec.targetScore(Request.number(from.get("target_score")));
        }
        if (from.get("patience") != null) {
            spec.patience(from.whole("patience"));
        }
        if (from.get("seed") != null) {
            spec.seed(Long.parseLong(from.text("seed")));
        }
        from.object("labels").arguments().forEach((key, value) -> spec.label(key, (String) value));
        return spec;
    }

    private static Space space(Request from) {
        String kind = from.text("kind").toUpperCase(Locale.ROOT);
        Space.Builder space = Space.newBuilder()
                .setKind(SpaceKind.valueOf("SPACE_KIND_" + kind))
                .setDimension(from.whole("dimension", 0))
                .setCategories(from.whole("categories", 0));
        if (from.get("radius") != null) {
            space.setRadius(Request.number(from.get("radius")));
        }
        for (double low : from.doubles("low")) {
            space.addLow(low);
        }
        for (double high : from.doubles("high")) {
            space.addHigh(high);
        }
        return space.build();
    }

    private Object list(Request request) {
        List<StudyState> states = request.texts("states").stream()
                .map(state -> StudyState.valueOf("STUDY_STATE_" + state)).toList();
        Map<String, String> labels = new java.util.HashMap<>();
        request.object("labels").arguments().forEach((key, value) -> labels.put(key, (String) value));
        return answer("studies", driver.client().studies(states, labels).stream()
                .map(study -> answer("study_id", Client.idOf(study), "state", state(study.getState())))
                .toList());
    }

    private Object extend(Request request) {
        Budget.Builder budget =
                Budget.newBuilder().setQueriesPerTarget(request.whole("queries_per_target", 0));
        if (request.get("seconds") != null) {
            budget.setSeconds(Request.number(request.get("seconds")));
        }
        if (request.get("target_score") != null) {
            budget.setTargetScore(Request.number(request.get("target_score")));
        }
        if (request.get("patience") != null) {
            budget.setPatience(request.whole("patience"));
        }
        return answer("study", json(study(request).extend(budget.build())));
    }

    private Object delete(Request request) {
        study(request).delete();
        return answer();
    }

    private Object best(Request request) {
        List<Object> found = new ArrayList<>();
        for (Best best : study(request).best(request.flag("stimuli"), request.text("dtype", "uint8"),
                request.wholes("targets"))) {
            found.add(answer("target", best.target(), "title", best.title(), "score", best.score(),
                    "generation", best.message().getGeneration(), "row", best.message().getRow(),
                    "latent", Request.json(best.latent()), "stimulus", Request.json(best.stimulus())));
        }
        return answer("best", found);
    }

    static String state(StudyState state) {
        return name(state, "STUDY_STATE_");
    }

    private static Map<String, Object> json(io.blackboxam.v1.Study study) {
        List<Object> targets = new ArrayList<>();
        for (TargetProgress target : study.getTargetsList()) {
            targets.add(answer("target", target.getTarget(), "title", target.getTitle(),
                    "finished", target.getFinished(),
                    "stop_reason", name(target.getStopReason(), "STOP_REASON_"),
                    "queries", target.getQueries(),
                    "best_score", target.hasBestScore() ? (Double) target.getBestScore() : null));
        }
        return answer("study_id", Client.idOf(study), "state", state(study.getState()),
                "stop_reason", name(study.getStopReason(), "STOP_REASON_"),
                "message", study.getMessage(), "sequence", study.getSequence(),
                "generation", study.getGeneration(),
                "search_rows", study.getAccounting().getSearchRows(),
                "failed_rows", study.getAccounting().getFailedRows(),
                "queries_per_target", study.getSpec().getBudget().getQueriesPerTarget(),
                "targets", targets);
    }
}
