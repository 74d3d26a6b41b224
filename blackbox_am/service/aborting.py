"""The end of a call with an error, and the name of the error."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from blackbox_am.errors import BlackboxError
from blackbox_am.rpc import status

log = logging.getLogger(__name__)


async def abort(context: Any, method: str, error: Exception) -> NoReturn:
    """Ends a call with the status of `error`.

    An exception that is not a `BlackboxError` is a bug: it is logged with its traceback, and the
    caller gets no details.
    """
    if isinstance(error, BlackboxError):
        answer = status.to_status(error)
    else:
        log.error("%s failed", method, exc_info=error)
        answer = status.internal()
    code, metadata = status.code_and_metadata(answer)
    await context.abort(code, answer.message, trailing_metadata=metadata)
    raise AssertionError("abort returned")


def outcome(code: Any, metadata: Any) -> str:
    """The reason in the metadata with which a call is aborted, or the name of its code."""
    for key, value in metadata or ():
        if key == status.DETAILS_KEY:
            return _reason(value)
    return getattr(code, "name", str(code))


def _reason(details: bytes) -> str:
    info = ErrorInfo()
    try:
        found = Status.FromString(details).details
    except DecodeError:
        return "UNKNOWN"
    return next((info.reason for detail in found if detail.Unpack(info)), "UNKNOWN")
