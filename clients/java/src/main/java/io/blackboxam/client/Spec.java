package io.blackboxam.client;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.blackboxam.v1.Budget;
import io.blackboxam.v1.GeneratorSpec;
import io.blackboxam.v1.Objective;
import io.blackboxam.v1.PlugIn;
import io.blackboxam.v1.Space;
import io.blackboxam.v1.StudySpec;
import java.util.List;
import java.util.Map;

/** What a study searches for, in its plain form. {@link #toBuilder} gives the whole message. */
public final class Spec {
    private final StudySpec.Builder spec = StudySpec.newBuilder();
    private final Budget.Builder budget = Budget.newBuilder().setQueriesPerTarget(1000);
    private String studyId = "";

    private Spec() {}

    /** Targets are addresses of units; each is a search, and all advance together. */
    public static Spec of(String... targets) {
        Spec spec = new Spec();
        for (String target : targets) {
            spec.target(List.of(target));
        }
        return spec;
    }

    /** One more target, which is the mean of these units. */
    public Spec target(List<String> units) {
        spec.addTargets(Objective.newBuilder().addAllQuantities(units));
        return this;
    }

    /** A small letter, then small letters, digits, hyphens; the server chooses one without it. */
    public Spec studyId(String id) {
        studyId = id;
        return this;
    }

    /** A registered generator, whose latents are searched. */
    public Spec generator(String name) {
        spec.setGenerator(GeneratorSpec.newBuilder().setName(name));
        return this;
    }

    /** A bare space instead of a generator, whose points clients evaluate. */
    public Spec space(Space space) {
        spec.setSpace(space);
        return this;
    }

    /** A registered oracle; without one, clients measure. */
    public Spec oracle(String name) {
        spec.setOracle(name);
        return this;
    }

    /** A registered optimizer and its parameters: numbers, texts, booleans. */
    public Spec optimizer(String name, Map<String, ?> parameters) {
        Struct.Builder struct = Struct.newBuilder();
        parameters.forEach((key, value) -> struct.putFields(key, valueOf(key, value)));
        spec.setOptimizer(PlugIn.newBuilder().setName(name).setParameters(struct));
        return this;
    }

    /** The largest number of rows measured for each target; 1000 without it. */
    public Spec queriesPerTarget(int queries) {
        budget.setQueriesPerTarget(queries);
        return this;
    }

    /** The longest time of the search. */
    public Spec seconds(double limit) {
        budget.setSeconds(limit);
        return this;
    }

    /** A target is finished when its best score reaches this. */
    public Spec targetScore(double score) {
        budget.setTargetScore(score);
        return this;
    }

    /** A target is finished after this many generations without a better score. */
    public Spec patience(int generations) {
        budget.setPatience(generations);
        return this;
    }

    /** Determines every random number; the server draws a seed without it. */
    public Spec seed(long seed) {
        spec.setSeed(seed);
        return this;
    }

    /** A label, by which studies can be listed. */
    public Spec label(String key, String value) {
        spec.putLabels(key, value);
        return this;
    }

    /** The message, to be completed. */
    public StudySpec.Builder toBuilder() {
        return message().toBuilder();
    }

    StudySpec message() {
        return spec.clone().setBudget(budget).build();
    }

    String studyId() {
        return studyId;
    }

    private static Value valueOf(String key, Object value) {
        Value.Builder built = Value.newBuilder();
        if (value instanceof Number number) {
            return built.setNumberValue(number.doubleValue()).build();
        }
        if (value instanceof Boolean flag) {
            return built.setBoolValue(flag).build();
        }
        if (value instanceof String text) {
            return built.setStringValue(text).build();
        }
        throw new BlackboxException.InvalidSpec("the parameter " + key + ": expected a number, a "
                + "text or a boolean, got " + value).withField("spec.optimizer.parameters");
    }
}
