package io.blackboxam.client;

import io.blackboxam.v1.CatalogServiceGrpc;
import io.blackboxam.v1.OracleServiceGrpc;
import io.blackboxam.v1.StudyServiceGrpc;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;

/** The channel to one server, and the ways of making a call. */
final class Connection implements AutoCloseable {
    /** Larger requests are split, so that any server accepts them. */
    static final int SEND_BYTES = 3 << 20;

    static final int PAGE_SIZE = 1000;

    final String target;
    final String clientId;
    final String session = UUID.randomUUID().toString();
    final Duration timeout;
    final Duration reconnect;
    final ManagedChannel channel;

    Connection(String target, Access access, String clientId, Duration timeout, Duration reconnect) {
        this.target = target;
        this.clientId = clientId;
        this.timeout = timeout;
        this.reconnect = reconnect;
        channel = channel(access);
    }

    private ManagedChannel channel(Access access) {
        try {
            return Grpc.newChannelBuilder(target, access.credentials(target))
                    .intercept(access.interceptor())
                    .maxInboundMessageSize(Integer.MAX_VALUE)
                    .keepAliveTime(30, TimeUnit.SECONDS)
                    .keepAliveTimeout(10, TimeUnit.SECONDS)
                    .build();
        } catch (UnsupportedOperationException error) {
            // Debian's Netty has TLS only with netty-tcnative.
            throw new BlackboxException.Unsupported("this installation has no TLS for gRPC ("
                    + error.getMessage() + "); add netty-tcnative to its class path");
        }
    }

    StudyServiceGrpc.StudyServiceBlockingStub studies() {
        return StudyServiceGrpc.newBlockingStub(channel).withDeadline(deadline());
    }

    CatalogServiceGrpc.CatalogServiceBlockingStub catalog() {
        return CatalogServiceGrpc.newBlockingStub(channel).withDeadline(deadline());
    }

    OracleServiceGrpc.OracleServiceBlockingStub oracles() {
        return OracleServiceGrpc.newBlockingStub(channel).withDeadline(deadline());
    }

    Deadline deadline() {
        return Deadline.after(timeout.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** Makes one call, with typed errors. */
    <T> T call(Supplier<T> method) {
        try {
            return method.get();
        } catch (RuntimeException error) {
            throw failure(error);
        }
    }

    /** Makes one call, and repeats it while the server is away; for calls that may be repeated. */
    <T> T persist(Supplier<T> method) {
        Reconnecting attempts = new Reconnecting(this, reconnect);
        while (true) {
            try {
                return call(method);
            } catch (BlackboxException.ServerUnavailable lost) {
                attempts.failed(lost);
            }
        }
    }

    /** Makes a call whose answer is a stream that may be left before its end. */
    <T> T streaming(Supplier<T> method) {
        Context.CancellableContext context = Context.current().withCancellation();
        try {
            return context.call(() -> call(method));
        } catch (RuntimeException error) {
            throw error;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        } finally {
            context.cancel(null);
        }
    }

    RuntimeException failure(Throwable error) {
        RuntimeException typed = Statuses.fromGrpc(error, target);
        if (typed instanceof BlackboxException.ServerUnavailable) {
            // gRPC waits up to two minutes before it connects again.
            channel.resetConnectBackoff();
        }
        return typed;
    }

    /** One page of a listing. */
    record Page<T>(List<T> entries, String next) {}

    /** The entries of all pages. */
    static <T> List<T> pages(Function<String, Page<T>> fetch) {
        List<T> all = new ArrayList<>();
        String token = "";
        do {
            Page<T> page = fetch.apply(token);
            all.addAll(page.entries);
            token = page.next;
        } while (!token.isEmpty());
        return all;
    }

    @Override
    public void close() {
        channel.shutdownNow();
        try {
            channel.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
