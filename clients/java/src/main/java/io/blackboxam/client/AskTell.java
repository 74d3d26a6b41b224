package io.blackboxam.client;

import java.util.concurrent.CancellationException;

/**
 * The loop that measures candidates with a model until the study has ended.
 *
 * <p>It waits where the study is paused, where others hold all candidates, and for a server that is
 * away. It stops with a {@link ModelException} if the model throws, with a
 * {@link BlackboxException.ShapeMismatch} if the model returns the wrong number of values, and with a
 * {@link CancellationException} if the thread is interrupted. What was told before is kept;
 * candidates that this client holds come back when it starts again under its name.
 */
public final class AskTell {
    private final Study study;
    private final Model model;
    private final AskOptions options;
    private int measured;
    private int calls;

    /**
     * What a loop did.
     *
     * @param measured the number of candidates that the model measured
     * @param calls the number of the model's calls
     */
    public record Result(int measured, int calls) {}

    AskTell(Study study, Model model, AskOptions options) {
        this.study = study;
        this.model = model;
        this.options = options.withPatience(null);
    }

    Result run() {
        while (true) {
            Candidates candidates = study.ask(options);
            if (candidates.done()) {
                return new Result(measured, calls);
            }
            calls++;
            Values values = measure(candidates);
            values.check(candidates.size());
            measured += candidates.size();
            tell(candidates.ids(), values);
        }
    }

    private Values measure(Candidates candidates) {
        try {
            return model.measure(candidates);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted while measuring");
        } catch (Exception error) {
            throw new ModelException(error);
        }
    }

    /** What was measured is told before an interruption takes effect. */
    private void tell(long[] ids, Values values) {
        boolean interrupted = Thread.interrupted();
        try {
            study.tell(ids, values);
        } catch (BlackboxException.StudyClosed ended) {
            return; // the study ended while the model measured: the next ask says so
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
