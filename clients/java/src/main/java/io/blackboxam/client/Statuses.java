package io.blackboxam.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.Function;

/** The table of exceptions and gRPC codes, used in both directions. */
final class Statuses {
    private static final String DOMAIN = "blackbox_am";
    /** A message travels several times in headers, which hold 8 KiB. */
    private static final int MAX_MESSAGE_CHARS = 1200;

    private record Entry(Status.Code code, Function<String, BlackboxException> make) {}

    /** By reason. The first entry of a code is the class of an error without a known reason. */
    private static final Map<String, Entry> TABLE = new LinkedHashMap<>();

    private static final Map<String, Duration> RETRY_AFTER = Map.of(
            "SEQUENCE_TAKEN", Duration.ofSeconds(1), "NOT_OWNER", Duration.ofSeconds(1),
            "ORACLE_UNAVAILABLE", Duration.ofSeconds(5), "ORACLE_TIMEOUT", Duration.ofSeconds(5),
            "SERVER_UNAVAILABLE", Duration.ofSeconds(1), "STORE_ERROR", Duration.ofSeconds(2),
            "QUOTA_EXCEEDED", Duration.ofSeconds(60));

    private static void add(Status.Code code, Function<String, BlackboxException> make) {
        TABLE.put(reasonOf(make.apply("").getClass()), new Entry(code, make));
    }

    static {
        add(Status.Code.INVALID_ARGUMENT, BlackboxException.InvalidInput::new);
        add(Status.Code.INVALID_ARGUMENT, BlackboxException.InvalidSpec::new);
        add(Status.Code.INVALID_ARGUMENT, BlackboxException.ShapeMismatch::new);
        add(Status.Code.INVALID_ARGUMENT, BlackboxException.UnknownUnit::new);
        add(Status.Code.INVALID_ARGUMENT, BlackboxException.MessageTooLarge::new);
        add(Status.Code.NOT_FOUND, BlackboxException.NotFound::new);
        add(Status.Code.ABORTED, BlackboxException.Conflict::new);
        add(Status.Code.ALREADY_EXISTS, BlackboxException.StudyExists::new);
        add(Status.Code.FAILED_PRECONDITION, BlackboxException.StudyClosed::new);
        add(Status.Code.FAILED_PRECONDITION, BlackboxException.ModelChanged::new);
        add(Status.Code.ABORTED, BlackboxException.SequenceTaken::new);
        add(Status.Code.ABORTED, BlackboxException.NotOwner::new);
        add(Status.Code.UNIMPLEMENTED, BlackboxException.Unsupported::new);
        add(Status.Code.UNIMPLEMENTED, BlackboxException.GradientUnavailable::new);
        add(Status.Code.UNIMPLEMENTED, BlackboxException.CapabilityMissing::new);
        add(Status.Code.UNIMPLEMENTED, BlackboxException.MissingExtra::new);
        add(Status.Code.PERMISSION_DENIED, BlackboxException.Denied::new);
        add(Status.Code.UNAUTHENTICATED, BlackboxException.Unauthenticated::new);
        add(Status.Code.PERMISSION_DENIED, BlackboxException.Forbidden::new);
        add(Status.Code.RESOURCE_EXHAUSTED, BlackboxException.QuotaExceeded::new);
        add(Status.Code.INTERNAL, BlackboxException.ServerFailed::new);
        add(Status.Code.UNAVAILABLE, BlackboxException.ServerUnavailable::new);
        add(Status.Code.UNKNOWN, BlackboxException.ServerError::new);
        add(Status.Code.INTERNAL, BlackboxException.OracleError::new);
        add(Status.Code.INTERNAL, BlackboxException.OracleFailed::new);
        add(Status.Code.UNAVAILABLE, BlackboxException.OracleUnavailable::new);
        add(Status.Code.DEADLINE_EXCEEDED, BlackboxException.OracleTimeout::new);
        add(Status.Code.RESOURCE_EXHAUSTED, BlackboxException.OutOfMemory::new);
        add(Status.Code.UNAVAILABLE, BlackboxException.StoreError::new);
        add(Status.Code.DATA_LOSS, BlackboxException.StoreCorrupt::new);
    }

    private Statuses() {}

    /** The reason of a class on the wire: {@code STUDY_EXISTS} of {@code StudyExists}. */
    static String reasonOf(Class<?> type) {
        return type.getSimpleName().replaceAll("(?<=[a-z])(?=[A-Z])", "_").toUpperCase(java.util.Locale.ROOT);
    }

    /** The typed error of a failed call to target. */
    static RuntimeException fromGrpc(Throwable error, String target) {
        if (error instanceof BlackboxException known) {
            return known;
        }
        Status status = Status.fromThrowable(error);
        if (status.getCode() == Status.Code.CANCELLED
                && (status.getCause() instanceof InterruptedException
                        || Thread.currentThread().isInterrupted())) {
            return new CancellationException("the call to " + target + " was interrupted");
        }
        Entry found = null;
        String reason = "";
        String field = "";
        Duration retryAfter = null;
        com.google.rpc.Status details = detailsOf(error);
        for (Any detail : details.getDetailsList()) {
            ErrorInfo info = unpacked(detail, ErrorInfo.class);
            if (info != null && info.getDomain().equals(DOMAIN)) {
                reason = info.getReason();
                found = TABLE.get(reason);
            }
            BadRequest bad = unpacked(detail, BadRequest.class);
            if (bad != null && bad.getFieldViolationsCount() > 0) {
                field = bad.getFieldViolations(0).getField();
            }
            RetryInfo retry = unpacked(detail, RetryInfo.class);
            if (retry != null) {
                retryAfter = Durations.from(retry.getRetryDelay());
            }
        }
        BlackboxException answer = found == null
                ? fromCode(status, target)
                : found.make.apply(String.valueOf(status.getDescription()));
        if (!reason.isEmpty()) {
            answer.withReason(reason);
        }
        answer.initCause(error);
        return answer.withField(field).withRetryAfter(retryAfter);
    }

    private static com.google.rpc.Status detailsOf(Throwable error) {
        com.google.rpc.Status details = StatusProto.fromThrowable(error);
        return details == null ? com.google.rpc.Status.getDefaultInstance() : details;
    }

    private static <T extends Message> T unpacked(Any detail, Class<T> type) {
        try {
            return detail.is(type) ? detail.unpack(type) : null;
        } catch (InvalidProtocolBufferException damaged) {
            return null;
        }
    }

    /** The error for a status without a known reason. */
    private static BlackboxException fromCode(Status status, String target) {
        String details = status.getDescription() == null ? "" : status.getDescription();
        // grpc-java gives a connection that closes while a call begins the code UNKNOWN.
        boolean lost = status.getCode() == Status.Code.UNKNOWN
                && status.getCause() instanceof IOException;
        switch (lost ? Status.Code.UNAVAILABLE : status.getCode()) {
            case UNAVAILABLE:
                Throwable cause = status.getCause();
                String why = cause == null ? details : details + ": " + cause.getMessage();
                return new BlackboxException.ServerUnavailable("cannot reach " + target + " (" + why
                        + "); check that the server runs, that the address is right, and that both "
                        + "sides use TLS or neither does");
            case DEADLINE_EXCEEDED:
                return new BlackboxException.ServerUnavailable(target
                        + " did not answer in time; give it more time, or see what keeps it busy");
            case CANCELLED:
                return new BlackboxException.ServerUnavailable(
                        "the call to " + target + " was cancelled (" + details + ")");
            case UNIMPLEMENTED:
                return new BlackboxException.Unsupported(
                        target + " does not know this call (" + details + ")");
            case RESOURCE_EXHAUSTED:
                if (details.contains("larger than max") || details.contains("exceeds maximum")) {
                    return new BlackboxException.MessageTooLarge(
                            "the message is too large for its receiver (" + details + "); send "
                                    + "fewer rows at a time, or raise the receiver's limit");
                }
                break;
            default:
                break;
        }
        String message = details.isEmpty()
                ? target + " answered " + status.getCode() + " and said nothing more"
                : details;
        for (Entry entry : TABLE.values()) {
            if (entry.code == status.getCode()) {
                return entry.make.apply(message);
            }
        }
        return new BlackboxException.ServerFailed(message);
    }

    /** An error as the answer of an oracle. What is no BlackboxException is an OracleFailed. */
    static StatusRuntimeException toGrpc(Throwable error) {
        BlackboxException known = error instanceof BlackboxException typed
                ? typed
                : new BlackboxException.OracleFailed("the model failed: "
                        + (error.getMessage() == null ? error.toString() : error.getMessage()));
        String reason = reasonOf(known.getClass());
        String message = String.valueOf(known.getMessage());
        if (message.length() > MAX_MESSAGE_CHARS) {
            message = message.substring(0, MAX_MESSAGE_CHARS) + " ...";
        }
        Entry entry = TABLE.get(reason);
        Status.Code code = entry == null ? Status.Code.UNKNOWN : entry.code;
        com.google.rpc.Status.Builder status = com.google.rpc.Status.newBuilder()
                .setCode(code.value())
                .setMessage(message)
                .addDetails(Any.pack(
                        ErrorInfo.newBuilder().setReason(reason).setDomain(DOMAIN).build()));
        if (!known.field().isEmpty()) {
            status.addDetails(Any.pack(BadRequest.newBuilder()
                    .addFieldViolations(BadRequest.FieldViolation.newBuilder()
                            .setField(known.field())
                            .setDescription(message))
                    .build()));
        }
        Duration wait = known.retryAfter() == null ? RETRY_AFTER.get(reason) : known.retryAfter();
        if (wait != null) {
            status.addDetails(Any.pack(
                    RetryInfo.newBuilder().setRetryDelay(Durations.message(wait)).build()));
        }
        return StatusProto.toStatusRuntimeException(status.build());
    }

    /** An error of the class with this name, such as {@code OutOfMemory}. */
    static BlackboxException make(String name, String message) {
        for (Entry entry : TABLE.values()) {
            BlackboxException error = entry.make.apply(message);
            if (error.getClass().getSimpleName().equals(name)) {
                return error;
            }
        }
        throw new IllegalArgumentException("no error has the name " + name);
    }
}
