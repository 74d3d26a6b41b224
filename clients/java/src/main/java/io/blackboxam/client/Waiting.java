package io.blackboxam.client;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Waits for the answer to a stream of requests. */
final class Waiting {
    private Waiting() {}

    /** The answer, with typed errors; cancels the call if the thread is interrupted. */
    static <T> T of(Connection connection, CompletableFuture<T> answer, StreamObserver<?> outgoing) {
        try {
            return answer.get();
        } catch (ExecutionException error) {
            throw connection.failure(error.getCause());
        } catch (InterruptedException interrupted) {
            outgoing.onError(Status.CANCELLED.asRuntimeException());
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted while waiting");
        }
    }
}
