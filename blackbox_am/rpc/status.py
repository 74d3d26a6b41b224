"""Errors on the wire: one table of error classes and gRPC codes, used in both directions.

An error is sent as a `google.rpc.Status`: code, message, and `ErrorInfo` with its class as a value
of `ErrorReason`, so that the Python client raises the same class as the server. Clients in other
languages read the reason or the code. A status without this `ErrorInfo` (from a proxy or another
program) becomes the first class in the table for its code.
"""

from __future__ import annotations

import re

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from blackbox_am import errors
from blackbox_am.errors import BlackboxError

DOMAIN = "blackbox_am"
DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_BYTES = 1200
"""A message is sent three times in HTTP headers, which hold 8 KiB in all."""

CODES: dict[type[BlackboxError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidSpec: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ShapeMismatch: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownUnit: grpc.StatusCode.INVALID_ARGUMENT,
    errors.MessageTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.StudyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.StudyClosed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelChanged: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SequenceTaken: grpc.StatusCode.ABORTED,
    errors.NotOwner: grpc.StatusCode.ABORTED,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.GradientUnavailable: grpc.StatusCode.UNIMPLEMENTED,
    errors.CapabilityMissing: grpc.StatusCode.UNIMPLEMENTED,
    errors.MissingExtra: grpc.StatusCode.UNIMPLEMENTED,
    errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ServerFailed: grpc.StatusCode.INTERNAL,
    errors.ServerUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.ServerError: grpc.StatusCode.UNKNOWN,
    errors.OracleError: grpc.StatusCode.INTERNAL,
    errors.OracleFailed: grpc.StatusCode.INTERNAL,
    errors.OracleUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.OracleTimeout: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.OutOfMemory: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.StoreError: grpc.StatusCode.UNAVAILABLE,
    errors.StoreCorrupt: grpc.StatusCode.DATA_LOSS,
    BlackboxError: grpc.StatusCode.UNKNOWN,
}
"""The table. A subclass that is not in the table is sent as its nearest base class."""

RETRY_SECONDS: dict[type[BlackboxError], int] = {
    errors.SequenceTaken: 1,
    errors.NotOwner: 1,
    errors.OracleUnavailable: 5,
    errors.OracleTimeout: 5,
    errors.ServerUnavailable: 1,
    errors.StoreError: 2,
}
"""Seconds after which to retry, for errors without `retry_after`."""

MAX_RETRY_SECONDS = 1e9
"""The longest wait that is sent, about 30 years."""


def reason_of(error_class: type[BlackboxError]) -> str:
    """The name of the class's value of `ErrorReason`, without its prefix: `STUDY_EXISTS`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error_class.__name__).upper()


_CLASSES = {reason_of(error_class): error_class for error_class in CODES}
_BY_CODE = {code: error_class for error_class, code in reversed(CODES.items())}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def to_status(error: BlackboxError) -> Status:
    """`error` as a status: code, message, class, wrong field, and the time to retry."""
    listed = _listed(error)
    message = _short(error.message)
    status = Status(code=CODES[listed].value[0], message=message)
    _attach(status, ErrorInfo(reason=reason_of(listed), domain=DOMAIN))
    if error.field:
        violation = BadRequest.FieldViolation(field=_short(error.field), description=message)
        _attach(status, BadRequest(field_violations=[violation]))
    seconds = RETRY_SECONDS.get(listed) if error.retry_after is None else error.retry_after
    if seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(1000 * min(seconds, MAX_RETRY_SECONDS)))
        _attach(status, RetryInfo(retry_delay=delay))
    return status


def internal() -> Status:
    """The status for a bug: it only says where to look."""
    return to_status(errors.ServerFailed("internal error; see the server's log"))


def code_and_metadata(status: Status) -> tuple[grpc.StatusCode, tuple[tuple[str, bytes], ...]]:
    """The arguments with which a gRPC server aborts a call to send `status`."""
    return _BY_NUMBER[status.code], ((DETAILS_KEY, status.SerializeToString()),)


def from_rpc_error(error: grpc.RpcError, address: str = "the server") -> BlackboxError:
    """The error for a failed call.

    Args:
        error: the exception of grpc.
        address: of the server, for the message.
    """
    status = _status_of(error)
    found = None if status is None else _from_status(status)
    if found is None:
        found = _from_code(error.code(), str(error.details() or ""), address)
    if status is not None:
        found.field = _field(status)
        found.retry_after = _retry_after(status)
    return found


def to_error(status: Status) -> BlackboxError:
    """The error from which `to_status` made `status`."""
    error = _from_status(status) or errors.ServerFailed(status.message)
    error.field = _field(status)
    error.retry_after = _retry_after(status)
    return error


def _from_status(status: Status) -> BlackboxError | None:
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in _CLASSES:
            return _CLASSES[info.reason](status.message)
    return None


def _field(status: Status) -> str:
    """The path of the wrong field; empty if the server gave none."""
    for detail in status.details:
        bad = BadRequest()
        if detail.Unpack(bad) and bad.field_violations:
            return str(bad.field_violations[0].field)
    return ""


def _retry_after(status: Status) -> float | None:
    """The wait in seconds, if the server gave a time to retry."""
    for detail in status.details:
        retry = RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.ToMilliseconds() / 1000)
    return None


def _from_code(code: grpc.StatusCode, details: str, address: str) -> BlackboxError:
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return errors.ServerUnavailable(
                f"cannot reach {address} ({details}); check that the server runs and that the "
                "address is right"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.ServerUnavailable(
                f"{address} did not answer in time; give it more time, or see what keeps it busy"
            )
        case grpc.StatusCode.CANCELLED:
            return errors.ServerUnavailable(f"the call to {address} was cancelled ({details})")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return errors.MessageTooLarge(
                f"the message is too large for its receiver ({details}); send fewer rows at a "
                "time, or raise the limit where it is received (max_message_bytes)"
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return errors.Unsupported(f"{address} does not know this call ({details})")
    error_class = _BY_CODE.get(code, errors.ServerFailed)
    return error_class(details or f"{address} answered {code.name} and said nothing more")


def _status_of(error: grpc.RpcError) -> Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def _listed(error: BlackboxError) -> type[BlackboxError]:
    return next(base for base in type(error).__mro__ if base in CODES)


def _attach(status: Status, detail: ErrorInfo | BadRequest | RetryInfo) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _short(text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_MESSAGE_BYTES:
        return data.decode("utf-8")
    return data[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore") + " ..."
