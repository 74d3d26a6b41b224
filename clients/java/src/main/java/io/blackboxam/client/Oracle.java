package io.blackboxam.client;

import java.util.List;

/**
 * A model that others can search: a server of blackbox_am with an oracle of the kind {@code remote}
 * calls it. Serve it with {@link OracleServer#serve}.
 *
 * @param name on the wire; a request without a name means this oracle, too
 * @param kind of the model, in a word
 * @param stimulusShape the shape of one stimulus
 * @param deterministic whether the same stimuli always give the same activations
 * @param batchSize the number of rows that one call of the model serves best, and the largest
 *     number of rows of a call for ObserveStream
 * @param fingerprint changes whenever the model changes; empty where nobody knows
 */
public record Oracle(
        String name, String kind, List<Integer> stimulusShape, List<Layer> layers,
        boolean deterministic, int batchSize, String fingerprint, Measure model) {

    /** Checks the description. */
    public Oracle {
        if (layers.isEmpty() || batchSize < 1) {
            throw new BlackboxException.InvalidSpec(
                    "an oracle needs at least one layer and a batch size of at least 1");
        }
    }

    /** A layer with the units {@code name:0} to {@code name:units-1}, which may have labels. */
    public record Layer(String name, String kind, int units, List<String> labels) {
        /** Checks the description. */
        public Layer {
            if (name.isEmpty() || units < 1) {
                throw new BlackboxException.InvalidSpec(
                        "a layer needs a name and at least one unit");
            }
        }

        /** The model's own output. */
        public static Layer scores(String name, int units) {
            return new Layer(name, "scores", units, List.of());
        }
    }

    /** A unit that a caller asks for. */
    public record Unit(String layer, int index) {}

    /** Measures stimuli. It may be called from several threads at once. */
    @FunctionalInterface
    public interface Measure {
        /**
         * One row for each stimulus, with one number for each unit; NaN where a measurement failed.
         *
         * @param stimuli the values of each stimulus in [0, 1], row-major
         * @throws Exception a BlackboxException comes to the caller as an error of the same class,
         *     another one as OracleFailed
         */
        float[][] measure(float[][] stimuli, List<Unit> units) throws Exception;
    }

    /** The unit of an address {@code layer:index}, in which the layer may stand in quotes. */
    Unit unit(String address, int place) {
        int colon = address.lastIndexOf(':');
        String layer = unquoted(colon < 0 ? address : address.substring(0, colon));
        String index = address.substring(colon + 1);
        if (colon >= 0 && index.matches("\\d{1,9}")) {
            Unit unit = new Unit(layer, Integer.parseInt(index));
            for (Layer known : layers) {
                if (known.name().equals(layer) && unit.index() < known.units()) {
                    return unit;
                }
            }
        }
        List<String> units = layers.stream()
                .map(known -> known.name() + ":0 to " + known.name() + ":" + (known.units() - 1))
                .toList();
        throw new BlackboxException.UnknownUnit("the oracle has no unit '" + address + "'; it has "
                + String.join(", ", units)).withField("units[" + place + "]");
    }

    /** The name of a layer without quotes around it, and without their backslashes. */
    private static String unquoted(String layer) {
        boolean quoted = layer.length() > 2 && layer.startsWith("\"") && layer.endsWith("\"");
        return quoted
                ? layer.substring(1, layer.length() - 1).replaceAll("\\\\(.)", "$1")
                : layer;
    }

    /** Calls the model, and checks its answer. */
    float[][] measured(float[][] stimuli, List<Unit> units) throws Exception {
        float[][] rows = model.measure(stimuli, units);
        boolean fits = rows != null && rows.length == stimuli.length;
        for (int i = 0; fits && i < rows.length; i++) {
            fits = rows[i] != null && rows[i].length == units.size();
        }
        if (!fits) {
            throw new BlackboxException.OracleFailed("the model returned another shape than "
                    + stimuli.length + " rows of " + units.size() + " numbers");
        }
        return rows;
    }
}
