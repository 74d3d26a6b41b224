package io.blackboxam.client;

/** A model threw an exception, which is the cause. */
public final class ModelException extends RuntimeException {
    private static final long serialVersionUID = 1;

    ModelException(Exception cause) {
        super(String.valueOf(cause.getMessage()), cause);
    }
}
