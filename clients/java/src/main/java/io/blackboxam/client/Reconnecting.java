package io.blackboxam.client;

import java.time.Duration;
import java.util.concurrent.CancellationException;

/** Waits for a server that is away, longer after each attempt, up to a limit. */
final class Reconnecting {
    private static final long FIRST_PAUSE_MILLIS = 100;
    private static final long LONGEST_PAUSE_MILLIS = 2000;

    private final Connection connection;
    private final Duration limit;
    private long pause = FIRST_PAUSE_MILLIS;
    private long lostSince = -1;

    Reconnecting(Connection connection, Duration limit) {
        this.connection = connection;
        this.limit = limit;
    }

    /** Notes that the server answered: a later failure counts as the first one. */
    void answered() {
        pause = FIRST_PAUSE_MILLIS;
        lostSince = -1;
    }

    /** Waits before the next attempt; throws lost if the server did not come back in time. */
    void failed(BlackboxException.ServerUnavailable lost) {
        long now = System.nanoTime() / 1_000_000;
        if (lostSince < 0) {
            lostSince = now;
        }
        long asked = lost.retryAfter() == null ? 0 : lost.retryAfter().toMillis();
        long wait = Math.max(pause, asked);
        if (now + wait > lostSince + limit.toMillis()) {
            throw lost;
        }
        sleep(wait);
        connection.channel.resetConnectBackoff();
        pause = Math.min(2 * pause, LONGEST_PAUSE_MILLIS);
    }

    /** Sleeps; throws CancellationException when the thread is interrupted. */
    static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted while waiting");
        }
    }
}
