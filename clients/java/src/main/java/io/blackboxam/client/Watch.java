package io.blackboxam.client;

import io.blackboxam.v1.StudyEvent;
import io.blackboxam.v1.StudyServiceGrpc;
import io.blackboxam.v1.WatchStudyRequest;
import io.blackboxam.v1.WatchStudyResponse;
import io.grpc.Context;
import io.grpc.Deadline;
import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;

/**
 * The events of a study in order, until the study ends. After a lost connection they continue after
 * the last event, without gaps or repeats. An event of a kind that this client does not know has the
 * case {@code EVENT_NOT_SET}. One thread reads; any thread may close.
 */
public final class Watch implements Iterator<StudyEvent>, Iterable<StudyEvent>, AutoCloseable {
    private final Connection connection;
    private final WatchStudyRequest.Builder request;
    private final Reconnecting attempts;
    private final Long until;
    private final Context.CancellableContext context = Context.current().withCancellation();
    private Iterator<WatchStudyResponse> stream;
    private StudyEvent next;
    private boolean ended;

    /** Until is a time of System.nanoTime at which the watch ends without an error, or null. */
    Watch(Connection connection, String name, long after, Duration minInterval,
            Duration reconnect, Long until) {
        this.connection = connection;
        this.until = until;
        attempts = new Reconnecting(connection, reconnect);
        request = WatchStudyRequest.newBuilder().setName(name).setAfterSequence(after);
        if (!minInterval.isZero()) {
            request.setMinInterval(Durations.message(minInterval));
        }
    }

    /**
     * Waits for the next event; false at the end of the study.
     *
     * @throws BlackboxException.ServerUnavailable if the server did not come back in time
     * @throws BlackboxException.NotFound if the study was deleted
     * @throws CancellationException if the watch was closed, or the thread interrupted
     */
    @Override
    public boolean hasNext() {
        while (next == null && !ended) {
            try {
                if (!stream().hasNext()) {
                    ended = true;
                    return false;
                }
                take(stream().next());
            } catch (RuntimeException error) {
                lost(error);
            }
        }
        return next != null;
    }

    @Override
    public StudyEvent next() {
        if (!hasNext()) {
            throw new NoSuchElementException("the study has ended");
        }
        StudyEvent event = next;
        next = null;
        return event;
    }

    /** The watch itself, for a for loop. */
    @Override
    public Iterator<StudyEvent> iterator() {
        return this;
    }

    /** Ends the watch. The study continues. */
    @Override
    public void close() {
        context.cancel(null);
    }

    private Iterator<WatchStudyResponse> stream() {
        if (stream == null) {
            StudyServiceGrpc.StudyServiceBlockingStub stub =
                    StudyServiceGrpc.newBlockingStub(connection.channel);
            StudyServiceGrpc.StudyServiceBlockingStub limited = until == null
                    ? stub
                    : stub.withDeadline(
                            Deadline.after(until - System.nanoTime(), TimeUnit.NANOSECONDS));
            context.run(() -> stream = limited.watchStudy(request.build()));
        }
        return stream;
    }

    private void take(WatchStudyResponse update) {
        attempts.answered();
        StudyEvent event = update.getEvent();
        if (event.getSequence() > request.getAfterSequence()) {
            request.setAfterSequence(event.getSequence());
            next = event;
        }
    }

    private void lost(RuntimeException error) {
        stream = null;
        if (context.isCancelled()) {
            ended = true;
            throw new CancellationException("the watch was closed");
        }
        if (until != null && System.nanoTime() >= until) {
            ended = true;
            return;
        }
        RuntimeException typed = connection.failure(error);
        if (!(typed instanceof BlackboxException.ServerUnavailable away)) {
            ended = true;
            throw typed;
        }
        attempts.failed(away);
    }
}
