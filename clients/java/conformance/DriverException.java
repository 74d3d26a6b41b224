package io.blackboxam.conformance;

/** A request that the driver does not understand. */
final class DriverException extends RuntimeException {
    private static final long serialVersionUID = 1;

    DriverException(String message) {
        super(message);
    }
}
