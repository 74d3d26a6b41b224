package io.blackboxam.test;

import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Oracle;
import io.blackboxam.client.OracleServer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import java.util.Map;

/** Tests of the description of an oracle; the conformance suite tests its service. */
final class OracleTests {
    private OracleTests() {}

    static void addTo(Map<String, Checks.Step> tests) {
        tests.put("an oracle needs layers", OracleTests::layers);
        tests.put("an address in use is InvalidInput", OracleTests::address);
    }

    static Oracle sums() {
        return new Oracle("sums", "test", List.of(3, 4, 4), List.of(Oracle.Layer.scores("out", 3)),
                true, 8, "sums-1", (stimuli, units) -> {
                    float[][] rows = new float[stimuli.length][units.size()];
                    for (int i = 0; i < rows.length; i++) {
                        for (float x : stimuli[i]) {
                            for (int j = 0; j < units.size(); j++) {
                                rows[i][j] += x * (units.get(j).index() + 1);
                            }
                        }
                    }
                    return rows;
                });
    }

    private static void layers() {
        Checks.fails(BlackboxException.InvalidSpec.class, () -> new Oracle(
                "none", "test", List.of(3), List.of(), true, 1, "", (stimuli, units) -> stimuli));
        Checks.fails(BlackboxException.InvalidSpec.class, () -> Oracle.Layer.scores("out", 0));
    }

    private static void address() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            Checks.fails(BlackboxException.InvalidInput.class,
                    () -> OracleServer.serve("127.0.0.1", taken.getLocalPort(), sums()).close());
        }
    }
}
