package io.blackboxam.client;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerCredentials;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

/** Serves an oracle: OracleService and grpc.health.v1.Health. */
public final class OracleServer implements AutoCloseable {
    /** The longest single message that a served oracle reads. */
    public static final int MAX_MESSAGE_BYTES = 32 << 20;

    private static final long STOP_SECONDS = 5;

    private final String host;
    private final Server server;

    private OracleServer(String host, Server server) {
        this.host = host;
        this.server = server;
    }

    /** Serves without encryption at host and port; a free port where the port is 0. */
    public static OracleServer serve(String host, int port, Oracle oracle) {
        return serve(host, port, oracle, InsecureServerCredentials.create());
    }

    /** Serves with these credentials, such as {@link io.grpc.TlsServerCredentials}. */
    public static OracleServer serve(
            String host, int port, Oracle oracle, ServerCredentials credentials) {
        InetSocketAddress address = new InetSocketAddress(host, port);
        try {
            Server server = Netty.builder(address, credentials)
                    .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                    .addService(new OracleService(oracle))
                    .addService(new Health())
                    .build()
                    .start();
            return new OracleServer(host, server);
        } catch (IOException error) {
            throw new BlackboxException.InvalidInput("cannot serve at " + host + ":" + port + ": "
                    + error.getMessage()).withField("address");
        }
    }

    /** The address of the server, host:port. */
    public String address() {
        return host + ":" + server.getPort();
    }

    /** Waits until the server is closed. */
    public void await() throws InterruptedException {
        server.awaitTermination();
    }

    /** Ends the server after the calls that it serves. */
    @Override
    public void close() {
        server.shutdown();
        try {
            if (!server.awaitTermination(STOP_SECONDS, TimeUnit.SECONDS)) {
                server.shutdownNow();
            }
        } catch (InterruptedException interrupted) {
            server.shutdownNow();
            Thread.currentThread().interrupt();
        }
    }

    private static final class Health extends HealthGrpc.HealthImplBase {
        private static final HealthCheckResponse SERVING = HealthCheckResponse.newBuilder()
                .setStatus(HealthCheckResponse.ServingStatus.SERVING)
                .build();

        @Override
        public void check(HealthCheckRequest request, StreamObserver<HealthCheckResponse> answer) {
            String service = request.getService();
            if (!service.isEmpty() && !service.equals("blackbox_am.v1.OracleService")) {
                answer.onError(Statuses.toGrpc(
                        new BlackboxException.NotFound("no service " + service)));
                return;
            }
            answer.onNext(SERVING);
            answer.onCompleted();
        }

        @Override
        public void watch(HealthCheckRequest request, StreamObserver<HealthCheckResponse> answer) {
            answer.onNext(SERVING); // the state never changes: the stream stays open
        }
    }
}
