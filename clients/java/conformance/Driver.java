package io.blackboxam.conformance;

import static io.blackboxam.conformance.Request.answer;

import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Client;
import io.blackboxam.client.ModelException;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The conformance driver of this client: one JSON request a line on standard input, one answer a
 * line on standard output. clients/conformance/PROTOCOL.md describes them.
 */
public final class Driver {
    /** One kind of request. */
    interface Verb {
        Object carryOut(Request request) throws Exception;
    }

    private static final List<String> WITHOUT_CONNECTION =
            List.of("hello", "connect", "close", "serve_oracle", "stop_oracle");

    private final Map<String, Verb> verbs = new TreeMap<>();
    private final Watches watches = new Watches(this);
    private final Serving serving = new Serving();
    private Client client;

    private Driver() {
        verbs.put("hello", this::hello);
        verbs.put("connect", this::connect);
        verbs.put("close", request -> close());
        verbs.put("server_info", request -> serverInfo());
        new Studies(this).addTo(verbs);
        new Asks(this).addTo(verbs);
        new Catalogs(this).addTo(verbs);
        watches.addTo(verbs);
        serving.addTo(verbs);
    }

    public static void main(String[] arguments) throws IOException {
        BufferedReader input =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Driver driver = new Driver();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            output.println(Json.write(driver.answered(line)));
        }
        driver.close();
        driver.serving.stop();
    }

    Client client() {
        return client;
    }

    private Map<String, Object> answered(String line) {
        Object id = null;
        try {
            Request request = new Request(Map.of("request", Json.read(line))).object("request");
            id = request.get("id") instanceof Double number ? (Object) number.longValue() : request.get("id");
            return answer("id", id, "ok", carryOut(request));
        } catch (Exception error) {
            return answer("id", id, "error", failure(error));
        }
    }

    private Object carryOut(Request request) throws Exception {
        String name = request.text("do");
        Verb verb = verbs.get(name);
        if (verb == null) {
            throw new DriverException("unknown verb " + name);
        }
        if (client == null && !WITHOUT_CONNECTION.contains(name)) {
            throw new DriverException("connect first");
        }
        return verb.carryOut(request);
    }

    private static Map<String, Object> failure(Exception error) {
        String kind = error instanceof ModelException ? "Model" : "Driver";
        String reason = "";
        String field = "";
        Double retryAfter = null;
        if (error instanceof BlackboxException known) {
            kind = known.getClass().getSimpleName();
            reason = known.reason();
            field = known.field();
            if (known.retryAfter() != null) {
                retryAfter = known.retryAfter().toMillis() / 1000.0;
            }
        } else if (kind.equals("Driver") && !(error instanceof DriverException)) {
            error.printStackTrace();
        }
        return answer("kind", kind, "reason", reason, "message", String.valueOf(error.getMessage()),
                "field", field, "retry_after_s", retryAfter);
    }

    private Object hello(Request request) {
        return answer("language", "java", "client_version", Client.API_VERSION,
                "api_version", Client.API_VERSION, "verbs", verbs.keySet());
    }

    private Object connect(Request request) {
        close();
        Client.Builder builder = Client.builder(request.text("target"));
        if (request.get("token") != null) {
            builder.token(request.text("token"));
        }
        if (request.get("client_id") != null) {
            builder.clientId(request.text("client_id"));
        }
        if (request.get("timeout_s") != null) {
            builder.timeout(request.seconds("timeout_s"));
        }
        if (request.flag("tls") || request.get("tls") instanceof Map) {
            builder.tls();
        }
        Request files = request.object("tls");
        if (files.get("ca") != null) {
            builder.ca(new File(files.text("ca")));
        }
        if (files.get("certificate") != null || files.get("key") != null) {
            builder.certificate(file(files, "certificate"), file(files, "key"));
        }
        client = builder.connect();
        return answer();
    }

    private static File file(Request files, String name) {
        return files.get(name) == null ? null : new File(files.text(name));
    }

    private Object close() {
        watches.stop();
        if (client != null) {
            client.close();
            client = null;
        }
        return answer();
    }

    private Object serverInfo() {
        var info = client.serverInfo();
        return answer("version", info.getVersion(), "api_version", info.getApiVersion(),
                "device", info.getDevice(), "features", List.copyOf(info.getFeaturesList()),
                "max_message_bytes", info.getLimits().getMaxMessageBytes(),
                "max_page_size", info.getLimits().getMaxPageSize());
    }
}
