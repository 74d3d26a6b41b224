package io.blackboxam.test;

import java.util.Objects;

/** Assertions of the tests. */
final class Checks {
    /** A step of a test. */
    interface Step {
        void run() throws Exception;
    }

    private Checks() {}

    static void equal(Object expected, Object got) {
        if (!Objects.equals(expected, got)) {
            throw new AssertionError("expected " + expected + ", got " + got);
        }
    }

    /** The error of a step, which must be of exactly this class. */
    static <E extends Throwable> E fails(Class<E> type, Step step) {
        try {
            step.run();
        } catch (Throwable error) {
            if (error.getClass() == type) {
                return type.cast(error);
            }
            throw new AssertionError("expected " + type.getSimpleName() + ", got " + error, error);
        }
        throw new AssertionError("expected " + type.getSimpleName() + ", got no error");
    }
}
