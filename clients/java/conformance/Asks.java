package io.blackboxam.conformance;

import static io.blackboxam.conformance.Request.answer;
import static io.blackboxam.conformance.Request.json;

import io.blackboxam.client.AskOptions;
import io.blackboxam.client.AskTell;
import io.blackboxam.client.Candidates;
import io.blackboxam.client.Study;
import io.blackboxam.client.TellResult;
import io.blackboxam.client.Tensor;
import io.blackboxam.client.Values;
import io.blackboxam.v1.Generation;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The requests about candidates and their measurements. */
final class Asks {
    private final Driver driver;

    Asks(Driver driver) {
        this.driver = driver;
    }

    void addTo(Map<String, Driver.Verb> verbs) {
        verbs.put("ask", this::ask);
        verbs.put("tell", this::tell);
        verbs.put("renew", this::renew);
        verbs.put("ask_tell", this::askTell);
        verbs.put("generations", this::generations);
    }

    private Study study(Request request) {
        return driver.client().handle(request.text("study_id"));
    }

    private Object ask(Request request) {
        Duration wait = request.seconds("timeout_s");
        Candidates found = study(request).ask(options(request, request.flag("stimuli"))
                .withPatience(wait == null ? Duration.ZERO : wait));
        return answer(
                "candidate_ids", Arrays.stream(found.ids()).mapToObj(Long::toUnsignedString).toList(),
                "targets", Arrays.stream(found.targets()).boxed().toList(),
                "generation", found.generation(), "latents", json(found.latents()),
                "stimuli", json(found.stimuli()), "lease_id", found.leaseId(),
                "lease_s", found.lease().toMillis() / 1000.0, "state", Studies.state(found.state()),
                "done", found.done(), "retry_after_s", found.retryAfter().toMillis() / 1000.0);
    }

    private static AskOptions options(Request request, boolean stimuli) {
        AskOptions options = AskOptions.DEFAULT
                .withMax(request.whole("n", 0))
                .withLease(request.seconds("lease_s"));
        return stimuli ? options.withStimuli(request.text("dtype", "uint8")) : options;
    }

    private Object tell(Request request) {
        long[] ids = request.ids("candidate_ids");
        Values values;
        if (request.get("values") == null) {
            request.need("scores");
            values = Values.scores(request.doubles("scores"));
        } else if (request.flag("all_units")) {
            values = Values.allUnits(request.tensor("values"));
        } else {
            values = Values.activations(request.tensor("values"));
        }
        TellResult told = study(request).tell(ids, values);
        return answer("accepted", told.accepted(), "repeated", told.repeated(),
                "state", Studies.state(told.state()), "generation", told.generation(),
                "sequence", told.sequence(), "done", told.done());
    }

    private Object renew(Request request) {
        Duration lease = request.seconds("lease_s");
        return answer("held", study(request).renew(request.text("lease_id"),
                lease == null ? Duration.ofSeconds(60) : lease));
    }

    private Object askTell(Request request) {
        request.need("model");
        Models model = new Models(request.object("model"), request.whole("pause_ms", 0));
        boolean stimuli = request.text("input", "latents").equals("stimuli");
        AskTell.Result result = study(request).askTell(model, options(request, stimuli));
        return answer("measured", result.measured(), "calls", result.calls());
    }

    private Object generations(Request request) {
        List<Object> found = new ArrayList<>();
        for (Generation generation : study(request).generations(request.whole("after", -1))) {
            var scores = generation.getScores();
            int[] shape = scores.getShapeList().stream().mapToInt(Math::toIntExact).toArray();
            String dtype = Request.name(scores.getDtype(), "DTYPE_").toLowerCase(Locale.ROOT);
            ByteBuffer data = scores.getData().asReadOnlyByteBuffer();
            found.add(answer("generation", generation.getGeneration(),
                    "targets", List.copyOf(generation.getTargetsList()),
                    "scores", json(new Tensor(dtype, shape, data))));
        }
        return answer("generations", found);
    }
}
