package io.blackboxam.conformance;

import static io.blackboxam.conformance.Request.answer;

import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Oracle;
import io.blackboxam.client.OracleServer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** The requests about an oracle that the driver serves. */
final class Serving {
    private OracleServer server;
    private AtomicLong calls;
    private AtomicLong rows;

    void addTo(Map<String, Driver.Verb> verbs) {
        verbs.put("serve_oracle", this::serve);
        verbs.put("stop_oracle", request -> stopServing());
    }

    void stop() {
        if (server != null) {
            server.close();
            server = null;
        }
    }

    /** The activation of one unit for one stimulus. */
    private interface Activation {
        float of(float[] x, int unit) throws Exception;
    }

    private Object serve(Request request) {
        stop();
        AtomicLong newCalls = new AtomicLong();
        AtomicLong newRows = new AtomicLong();
        Activation activation = activation(request);
        Oracle.Measure measure = (stimuli, units) -> {
            newCalls.incrementAndGet();
            newRows.addAndGet(stimuli.length);
            float[][] found = new float[stimuli.length][units.size()];
            for (int i = 0; i < found.length; i++) {
                for (int j = 0; j < found[i].length; j++) {
                    found[i][j] = activation.of(stimuli[i], units.get(j).index());
                }
            }
            return found;
        };
        server = OracleServer.serve("127.0.0.1", request.whole("port", 0), new Oracle(
                request.text("name"), "conformance", request.wholes("stimulus_shape"),
                List.of(Oracle.Layer.scores("out", request.whole("units"))),
                true, 16, "conformance-1", measure));
        calls = newCalls;
        rows = newRows;
        return answer("address", server.address());
    }

    private static Activation activation(Request request) {
        String model = request.text("model");
        switch (model) {
            case "unit_sums":
                return Serving::unitSum;
            case "first":
                return (x, unit) -> x[unit];
            case "raises":
                String name = request.text("error");
                return (x, unit) -> {
                    throw BlackboxException.named(name, "no memory for this batch");
                };
            case "throws":
                return (x, unit) -> {
                    throw new Exception("the rig fell over");
                };
            default:
                throw new DriverException("unknown model " + model);
        }
    }

    private static float unitSum(float[] x, int unit) {
        if (x[0] == 0) {
            return Float.NaN;
        }
        double sum = 0.0;
        for (int i = 0; i < x.length; i++) {
            sum += ((i + unit) % 7 - 3) * (double) x[i];
        }
        return (float) sum;
    }

    private Object stopServing() {
        if (server == null) {
            throw new DriverException("no oracle is served");
        }
        stop();
        return answer("calls", calls.get(), "rows", rows.get());
    }
}
