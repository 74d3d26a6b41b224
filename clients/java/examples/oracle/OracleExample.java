package io.blackboxam.examples;

import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Oracle;
import io.blackboxam.client.OracleServer;
import java.util.List;

/**
 * Serves a model that a server of blackbox_am can search: three units, each of which prefers one
 * colour. Argument: the address, host:port. The configuration of the server names it:
 *
 * <pre>
 * [oracles.colours]
 * kind = "remote"
 * target = "localhost:50061"
 * </pre>
 */
public final class OracleExample {
    private OracleExample() {}

    public static void main(String[] arguments) {
        String address = arguments.length > 0 ? arguments[0] : "localhost:50061";
        int colon = address.lastIndexOf(':');
        Oracle oracle = new Oracle(
                "colours", "example", List.of(3, 8, 8),
                List.of(new Oracle.Layer("scores", "scores", 3, List.of("red", "green", "blue"))),
                true, 64, "colours-1", OracleExample::measure);
        Interruption.onCtrlC();
        try (OracleServer server = OracleServer.serve(address.substring(0, colon),
                Integer.parseInt(address.substring(colon + 1)), oracle)) {
            System.out.println("serving at " + server.address());
            server.await();
        } catch (InterruptedException stopped) {
            System.out.println("stopped");
        } catch (BlackboxException error) {
            System.err.println("oracle: " + error.getMessage());
            Interruption.exit(1);
        }
    }

    /** Unit j is the mean of channel j less half the means of the others. */
    private static float[][] measure(float[][] stimuli, List<Oracle.Unit> units) {
        float[][] rows = new float[stimuli.length][units.size()];
        for (int i = 0; i < rows.length; i++) {
            int size = stimuli[i].length / 3;
            for (int k = 0; k < units.size(); k++) {
                double sum = 0;
                for (int n = 0; n < stimuli[i].length; n++) {
                    sum += (n / size == units.get(k).index() ? 1 : -0.5) * stimuli[i][n];
                }
                rows[i][k] = (float) (sum / size);
            }
        }
        return rows;
    }
}
