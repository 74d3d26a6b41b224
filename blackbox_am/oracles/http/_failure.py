"""Errors for unsuccessful answers and failed connections."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from blackbox_am.core.certificates import untrusted
from blackbox_am.errors import (
    BlackboxError,
    MessageTooLarge,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
)

_SHOWN = 200


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> BlackboxError:
    """The error for an unsuccessful answer.

    Args:
        status: its HTTP status.
        headers: its headers.
        body: its body.
    """
    said = f"it answered {status}: {excerpt(body)}"
    if status in (401, 403):
        return OracleFailed(f"{said}; see whether the headers hold the right secret")
    if status == 413:
        return MessageTooLarge(f"{said}; give the oracle a smaller batch_size")
    if status in (408, 504):
        return OracleTimeout(said)
    if status in (429, 502, 503):
        wait = retry_after(headers.get("Retry-After"))
        when = "" if wait is None else f"; it says to come back in {wait:g} s"
        return OracleUnavailable(said + when, retry_after=wait)
    return OracleFailed(said)


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header, a number or a date; None without a valid header."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:  # the date is in GMT, even without a time zone
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def unreachable(error: Exception) -> OracleUnavailable:
    """The error for a connection that failed."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return OracleUnavailable(untrusted(cause.verify_message))
        if isinstance(cause, ssl.SSLError):
            return OracleUnavailable(
                f"no secure connection ({cause.reason or cause}); see whether https is right"
            )
        cause = cause.__cause__ or cause.__context__
    return OracleUnavailable(
        f"cannot reach it ({type(error).__name__}: {error}); see whether it runs and the url is "
        "right"
    )


def excerpt(body: bytes) -> str:
    """The beginning of a body, for a message."""
    text = body[:_SHOWN].decode("utf-8", "replace").strip()
    return repr(text) + (" ..." if len(body) > _SHOWN else "")
