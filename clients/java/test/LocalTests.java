package io.blackboxam.test;

import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Client;
import io.blackboxam.client.Tensor;
import io.blackboxam.v1.ErrorReason;
import java.io.File;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;

/** Tests without a server. */
final class LocalTests {
    private LocalTests() {}

    static void addTo(Map<String, Checks.Step> tests) {
        tests.put("no server is ServerUnavailable", LocalTests::noServer);
        tests.put("a token is not sent unencrypted to another machine", LocalTests::token);
        tests.put("a certificate needs TLS", LocalTests::certificate);
        tests.put("every reason of the wire has a class", LocalTests::reasons);
        tests.put("tensors convert their elements", LocalTests::tensors);
    }

    private static void noServer() {
        Client.Builder away = Client.builder("127.0.0.1:1").timeout(Duration.ofSeconds(5));
        Checks.fails(BlackboxException.ServerUnavailable.class, away::connect);
    }

    private static void token() {
        for (String target : new String[] {"192.0.2.1:50051", "localhost.example.org:1", "10.0.0.1"}) {
            BlackboxException error = Checks.fails(BlackboxException.InvalidInput.class,
                    () -> Client.builder(target).token("secret").connect());
            Checks.equal("token", error.field());
        }
        for (String target : new String[] {"localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1"}) {
            Checks.fails(BlackboxException.ServerUnavailable.class, () -> Client.builder(target)
                    .timeout(Duration.ofSeconds(5)).token("secret").connect());
        }
    }

    private static void certificate() {
        Checks.fails(BlackboxException.InvalidInput.class, () -> Client.builder("127.0.0.1:1")
                .certificate(new File("c.pem"), new File("k.pem")).connect());
        Checks.fails(BlackboxException.InvalidInput.class, () -> Client.builder("127.0.0.1:1")
                .ca(new File("nowhere.pem")).connect());
    }

    private static void reasons() {
        for (Class<?> type : BlackboxException.class.getDeclaredClasses()) {
            BlackboxException error = BlackboxException.named(type.getSimpleName(), "text");
            Checks.equal(type, error.getClass());
            ErrorReason.valueOf("ERROR_REASON_" + error.reason());
        }
        long reasons = Arrays.stream(ErrorReason.values()).count() - 2; // UNSPECIFIED, UNRECOGNIZED
        Checks.equal(reasons, (long) BlackboxException.class.getDeclaredClasses().length);
    }

    private static void tensors() {
        Tensor floats = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
        Checks.equal("[3.0, 4.0]", Arrays.toString(floats.row(1).toDoubles()));
        Checks.equal(255.0, Tensor.of(new byte[] {0, -1}, 2).get(1));
        Checks.equal(0, Tensor.of(new float[0], 0, 5).rows());
    }
}
