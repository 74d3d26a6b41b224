package io.blackboxam.client;

import io.blackboxam.v1.AskRequest;
import io.blackboxam.v1.AskResponse;
import io.blackboxam.v1.Dtype;
import java.time.Duration;

/** Asks for candidates, and waits until there are some. */
final class Asking {
    private static final Duration SHORTEST_WAIT = Duration.ofMillis(50);

    private Asking() {}

    static Candidates ask(Connection connection, String name, AskOptions options) {
        AskRequest.Builder request = AskRequest.newBuilder()
                .setName(name)
                .setMaxCandidates(options.max())
                .setWithStimuli(options.stimuli())
                .setStimulusDtype(stimulusDtype(options.dtype()))
                .setClientId(connection.clientId)
                .setSessionId(connection.session);
        if (options.lease() != null) {
            request.setLeaseDuration(Durations.message(options.lease()));
        }
        long started = System.nanoTime();
        while (true) {
            Candidates found = from(
                    connection.persist(() -> connection.studies().ask(request.build())));
            if (found.size() > 0 || found.done()) {
                return found;
            }
            Duration wait = found.retryAfter().compareTo(SHORTEST_WAIT) < 0
                    ? SHORTEST_WAIT
                    : found.retryAfter();
            if (options.patience() != null) {
                Duration left = options.patience().minusNanos(System.nanoTime() - started);
                if (left.isNegative() || left.isZero()) {
                    return found;
                }
                wait = wait.compareTo(left) < 0 ? wait : left;
            }
            Reconnecting.sleep(Math.max(wait.toMillis(), 1));
        }
    }

    static Dtype stimulusDtype(String name) {
        switch (name) {
            case "uint8":
                return Dtype.DTYPE_UINT8;
            case "float32":
                return Dtype.DTYPE_FLOAT32;
            default:
                throw new BlackboxException.InvalidInput(
                        "dtype: expected uint8 or float32, got " + name).withField("dtype");
        }
    }

    private static Candidates from(AskResponse answer) {
        return new Candidates(
                answer.getCandidateIdsList().stream().mapToLong(Long::longValue).toArray(),
                answer.getTargetsList().stream().mapToInt(Integer::intValue).toArray(),
                Tensor.from(answer.getLatents(), "latents"),
                answer.hasStimuli() ? Tensor.from(answer.getStimuli(), "stimuli") : null,
                answer.getGeneration(),
                answer.getState(),
                answer.getDone(),
                Durations.from(answer.getRetryAfter()),
                answer.getLeaseId(),
                Durations.from(answer.getLeaseDuration()));
    }
}
