package io.blackboxam.client;

import java.time.Duration;

/** Durations on the wire. */
final class Durations {
    private Durations() {}

    static Duration from(com.google.protobuf.Duration message) {
        return Duration.ofSeconds(message.getSeconds(), message.getNanos());
    }

    static com.google.protobuf.Duration message(Duration duration) {
        return com.google.protobuf.Duration.newBuilder()
                .setSeconds(duration.getSeconds())
                .setNanos(duration.getNano())
                .build();
    }
}
