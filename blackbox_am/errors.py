"""The errors that blackbox_am raises deliberately, in one tree of classes.

::

    BlackboxError
    ├── InvalidInput            the same request can never succeed
    │   ├── InvalidSpec         a field of a specification is wrong
    │   ├── ShapeMismatch       an array has another shape or dtype than expected
    │   ├── UnknownUnit         the oracle has no such layer or unit
    │   └── MessageTooLarge     a message has more bytes than its receiver accepts
    ├── NotFound                no such study, oracle, generator or file
    ├── Conflict                the request is in conflict with existing data
    │   ├── StudyExists         a study of this id has another specification
    │   ├── ModelChanged        the study began with another oracle or generator
    │   ├── StudyClosed         the study has ended
    │   ├── SequenceTaken       another process wrote to this study first
    │   └── NotOwner            another process runs this study
    ├── Unsupported             the component does not support the request
    │   ├── GradientUnavailable order-1 optimizer, but no gradients
    │   ├── CapabilityMissing   the oracle or generator lacks a capability
    │   └── MissingExtra        an optional package is not installed
    ├── OracleError             the model could not be evaluated
    │   ├── OracleFailed        the model returned an error or an invalid answer
    │   ├── OracleUnavailable   the model cannot be reached
    │   ├── OracleTimeout       the model did not answer in time
    │   └── OutOfMemory         the batch does not fit into memory
    ├── StoreError              the journal could not be read or written
    │   └── StoreCorrupt        the file is damaged or has another format
    ├── Denied                  the caller is not allowed to do this
    │   ├── Unauthenticated     the caller's identity is unknown
    │   ├── Forbidden           the caller lacks the permission
    │   └── QuotaExceeded       the caller's quota is used up
    └── ServerError             a blackbox_am server could not process the request
        ├── ServerUnavailable   the server cannot be reached or did not answer in time
        └── ServerFailed        an unexpected failure; the server's log has the traceback

The classes are independent of any transport. ``blackbox_am.rpc.status`` maps them
to gRPC codes and back, so that a remote caller catches the same classes as a local
caller. A message says what was expected, what came, and what to do. An exception
that is not a `BlackboxError` is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BlackboxError(Exception):
    """Base of all deliberate errors.

    Attributes:
        field: dotted name of the request field at fault, or ``""``.
        retry_after: seconds after which the same request may succeed; None if unknown.
    """

    def __init__(self, message: str, *, field: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """The text for the user."""
        return str(self.args[0])


class InvalidInput(BlackboxError):
    """The same request can never succeed."""


class InvalidSpec(InvalidInput):
    """A field of a specification is wrong."""


class ShapeMismatch(InvalidInput):
    """An array has another shape or dtype than expected."""


class UnknownUnit(InvalidInput):
    """The oracle has no such layer or unit."""


class MessageTooLarge(InvalidInput):
    """A message has more bytes than its receiver accepts."""


class NotFound(BlackboxError):
    """No such study, oracle, generator or file."""


class Conflict(BlackboxError):
    """The request is in conflict with existing data."""


class StudyExists(Conflict):
    """A study of this id exists with another specification."""


class ModelChanged(Conflict):
    """The oracle or the generator differs from that of the study's beginning."""


class StudyClosed(Conflict):
    """The study has ended or is in a state that forbids the request."""


class SequenceTaken(Conflict):
    """Another process wrote to this study first; the caller must read its events and retry."""


class NotOwner(Conflict):
    """Another process runs this study, and only that process may write to it."""


class Unsupported(BlackboxError):
    """The component does not support the request."""


class GradientUnavailable(Unsupported):
    """An order-1 optimizer needs gradients that this oracle or generator lacks."""


class CapabilityMissing(Unsupported):
    """The oracle or the generator lacks a requested capability."""


class MissingExtra(Unsupported):
    """An optional package is not installed."""

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtra:
        """The error for a missing `package` of the optional dependency group `extra`."""
        return cls(
            f"the package {package!r} is not installed; "
            f"install it with: pip install 'blackbox-am[{extra}]'"
        )


class OracleError(BlackboxError):
    """The model could not be evaluated."""


class OracleFailed(OracleError):
    """The oracle returned an error or an invalid answer."""


class OracleUnavailable(OracleError):
    """The oracle cannot be reached."""


class OracleTimeout(OracleError):
    """The oracle did not answer in time."""


class OutOfMemory(OracleError):
    """The batch does not fit into memory."""


class StoreError(BlackboxError):
    """The journal could not be read or written."""


class StoreCorrupt(StoreError):
    """The file is damaged or has another format."""


class Denied(BlackboxError):
    """The caller is not allowed to do this."""


class Unauthenticated(Denied):
    """The caller's identity is unknown."""


class Forbidden(Denied):
    """The caller is known but lacks the permission."""


class QuotaExceeded(Denied):
    """The caller's quota is used up.

    Attributes:
        rows_left: rows that a smaller call may still have; 0 for none, or if they are unknown.
    """

    rows_left: int = 0


class ServerError(BlackboxError):
    """A blackbox_am server could not process the request."""


class ServerUnavailable(ServerError):
    """The server cannot be reached, or did not answer in time."""


class ServerFailed(ServerError):
    """The server failed unexpectedly; its log has the traceback."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suffix for error messages that lists similar names, or the known names.

    Args:
        word: the unknown name.
        known: all valid names.

    Returns:
        ``"; did you mean 'sep_cma'?"``, or ``"; known: a, b, c"`` if no name is similar.
    """
    names = sorted(set(known))
    lowered = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(word.lower(), lowered, n=3, cutoff=0.6)
    near = [lowered[name] for name in close]
    if near:
        return "; did you mean " + " or ".join(repr(name) for name in near) + "?"
    if not names:
        return "; the list is empty"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; known: {shown}"
