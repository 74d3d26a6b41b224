package io.blackboxam.client;

import java.time.Duration;

/**
 * The errors of the client and of its server, in one tree of nested classes with the names of the
 * Python package. {@code catch (BlackboxException.StudyExists error)} catches one class, and
 * {@code BlackboxException.Conflict} that class and its siblings.
 */
public class BlackboxException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private String field = "";
    private String reason;
    private Duration retryAfter;

    /** An error with a message that says what was expected, what came, and what to do. */
    public BlackboxException(String message) {
        super(message);
        reason = Statuses.reasonOf(getClass());
    }

    /** An error of the nested class with this name, such as {@code OutOfMemory}. */
    public static BlackboxException named(String name, String message) {
        return Statuses.make(name, message);
    }

    /** The path of the request's field at fault, such as {@code spec.targets[0]}; else empty. */
    public String field() {
        return field;
    }

    /** The reason that the server gave, or that of the class. */
    public String reason() {
        return reason;
    }

    /** The time after which the same call may succeed; null if the server named none. */
    public Duration retryAfter() {
        return retryAfter;
    }

    /** Names the field at fault; returns this error. */
    public BlackboxException withField(String name) {
        field = name;
        return this;
    }

    /** Sets the time after which the same call may succeed; returns this error. */
    public BlackboxException withRetryAfter(Duration wait) {
        retryAfter = wait;
        return this;
    }

    BlackboxException withReason(String given) {
        reason = given;
        return this;
    }

    /** The same request can never succeed. */
    public static class InvalidInput extends BlackboxException {
        private static final long serialVersionUID = 1;

        public InvalidInput(String message) {
            super(message);
        }
    }

    /** A field of a specification is wrong. */
    public static class InvalidSpec extends InvalidInput {
        private static final long serialVersionUID = 1;

        public InvalidSpec(String message) {
            super(message);
        }
    }

    /** An array has another shape or dtype than expected. */
    public static class ShapeMismatch extends InvalidInput {
        private static final long serialVersionUID = 1;

        public ShapeMismatch(String message) {
            super(message);
        }
    }

    /** The oracle has no such layer or unit. */
    public static class UnknownUnit extends InvalidInput {
        private static final long serialVersionUID = 1;

        public UnknownUnit(String message) {
            super(message);
        }
    }

    /** A message has more bytes than its receiver accepts. */
    public static class MessageTooLarge extends InvalidInput {
        private static final long serialVersionUID = 1;

        public MessageTooLarge(String message) {
            super(message);
        }
    }

    /** No such study, oracle, generator or file. */
    public static class NotFound extends BlackboxException {
        private static final long serialVersionUID = 1;

        public NotFound(String message) {
            super(message);
        }
    }

    /** The request is in conflict with existing data. */
    public static class Conflict extends BlackboxException {
        private static final long serialVersionUID = 1;

        public Conflict(String message) {
            super(message);
        }
    }

    /** A study of this id has another specification. */
    public static class StudyExists extends Conflict {
        private static final long serialVersionUID = 1;

        public StudyExists(String message) {
            super(message);
        }
    }

    /** The study began with another oracle or generator. */
    public static class ModelChanged extends Conflict {
        private static final long serialVersionUID = 1;

        public ModelChanged(String message) {
            super(message);
        }
    }

    /** The study has ended. */
    public static class StudyClosed extends Conflict {
        private static final long serialVersionUID = 1;

        public StudyClosed(String message) {
            super(message);
        }
    }

    /** Another process wrote to this study first. */
    public static class SequenceTaken extends Conflict {
        private static final long serialVersionUID = 1;

        public SequenceTaken(String message) {
            super(message);
        }
    }

    /** Another process runs this study. */
    public static class NotOwner extends Conflict {
        private static final long serialVersionUID = 1;

        public NotOwner(String message) {
            super(message);
        }
    }

    /** The component does not support the request. */
    public static class Unsupported extends BlackboxException {
        private static final long serialVersionUID = 1;

        public Unsupported(String message) {
            super(message);
        }
    }

    /** An optimizer of order 1, but no gradients. */
    public static class GradientUnavailable extends Unsupported {
        private static final long serialVersionUID = 1;

        public GradientUnavailable(String message) {
            super(message);
        }
    }

    /** The oracle or the generator lacks a capability. */
    public static class CapabilityMissing extends Unsupported {
        private static final long serialVersionUID = 1;

        public CapabilityMissing(String message) {
            super(message);
        }
    }

    /** An optional package is not installed. */
    public static class MissingExtra extends Unsupported {
        private static final long serialVersionUID = 1;

        public MissingExtra(String message) {
            super(message);
        }
    }

    /** The model could not be evaluated. */
    public static class OracleError extends BlackboxException {
        private static final long serialVersionUID = 1;

        public OracleError(String message) {
            super(message);
        }
    }

    /** The model returned an error or an invalid answer. */
    public static class OracleFailed extends OracleError {
        private static final long serialVersionUID = 1;

        public OracleFailed(String message) {
            super(message);
        }
    }

    /** The model cannot be reached. */
    public static class OracleUnavailable extends OracleError {
        private static final long serialVersionUID = 1;

        public OracleUnavailable(String message) {
            super(message);
        }
    }

    /** The model did not answer in time. */
    public static class OracleTimeout extends OracleError {
        private static final long serialVersionUID = 1;

        public OracleTimeout(String message) {
            super(message);
        }
    }

    /** The batch does not fit into memory. */
    public static class OutOfMemory extends OracleError {
        private static final long serialVersionUID = 1;

        public OutOfMemory(String message) {
            super(message);
        }
    }

    /** The journal could not be read or written. */
    public static class StoreError extends BlackboxException {
        private static final long serialVersionUID = 1;

        public StoreError(String message) {
            super(message);
        }
    }

    /** The file is damaged or has another format. */
    public static class StoreCorrupt extends StoreError {
        private static final long serialVersionUID = 1;

        public StoreCorrupt(String message) {
            super(message);
        }
    }

    /** The caller is not allowed to do this. */
    public static class Denied extends BlackboxException {
        private static final long serialVersionUID = 1;

        public Denied(String message) {
            super(message);
        }
    }

    /** The caller's identity is unknown. */
    public static class Unauthenticated extends Denied {
        private static final long serialVersionUID = 1;

        public Unauthenticated(String message) {
            super(message);
        }
    }

    /** The caller lacks the permission. */
    public static class Forbidden extends Denied {
        private static final long serialVersionUID = 1;

        public Forbidden(String message) {
            super(message);
        }
    }

    /** The caller's quota is used up. */
    public static class QuotaExceeded extends Denied {
        private static final long serialVersionUID = 1;

        public QuotaExceeded(String message) {
            super(message);
        }
    }

    /** A server could not process the request. */
    public static class ServerError extends BlackboxException {
        private static final long serialVersionUID = 1;

        public ServerError(String message) {
            super(message);
        }
    }

    /** The server cannot be reached or did not answer in time. */
    public static class ServerUnavailable extends ServerError {
        private static final long serialVersionUID = 1;

        public ServerUnavailable(String message) {
            super(message);
        }
    }

    /** An unexpected failure; the server's log has the traceback. */
    public static class ServerFailed extends ServerError {
        private static final long serialVersionUID = 1;

        public ServerFailed(String message) {
            super(message);
        }
    }
}
