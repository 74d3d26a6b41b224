"""Every error that blackbox_am raises on purpose, in one tree.

::

    BlackboxError
    ├── InvalidInput            the caller's request can never succeed as it stands
    │   ├── InvalidSpec         a field of a specification is wrong
    │   ├── ShapeMismatch       an array has another shape or dtype than expected
    │   ├── UnknownUnit         no such layer or unit in the oracle
    │   └── MessageTooLarge     more bytes at once than the receiver takes
    ├── NotFound                no such study, oracle, generator or file
    ├── Conflict                the request clashes with what is already there
    │   ├── StudyExists         same id, other specification
    │   ├── StudyClosed         the study has ended
    │   └── SequenceTaken       another process wrote to this study first
    ├── Unsupported             asked for more than this part can do
    │   ├── GradientUnavailable order-1 optimizer on an oracle without gradients
    │   ├── CapabilityMissing   the oracle lacks a capability
    │   └── MissingExtra        an optional package is not installed
    ├── OracleError             the model could not be evaluated
    │   ├── OracleFailed        it answered with an error, or with nonsense
    │   ├── OracleUnavailable   it cannot be reached
    │   ├── OracleTimeout       it did not answer in time
    │   └── OutOfMemory         the batch does not fit
    ├── StoreError              the journal could not be read or written
    │   └── StoreCorrupt        the file is damaged, or is not ours
    ├── Denied                  the caller may not do this
    │   ├── Unauthenticated
    │   ├── Forbidden
    │   └── QuotaExceeded
    └── ServerError             a blackbox_am server could not serve
        ├── ServerUnavailable   it cannot be reached, or did not answer in time
        └── ServerFailed        it failed in a way nobody foresaw: its log says more

The tree knows nothing of transports; ``blackbox_am.rpc.status`` holds the one
table that maps it to gRPC codes and back, so a remote caller catches the same
classes as a local one. A message says what was expected, what came, and what
to do about it. Anything that is not a `BlackboxError` is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BlackboxError(Exception):
    """Base of all deliberate errors.

    Attributes:
        field: dotted name of the request field at fault, or ``""``.
        retry_after: seconds after which the same request may succeed; None where nobody said.
    """

    def __init__(self, message: str, *, field: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """The sentence for the user."""
        return str(self.args[0])


class InvalidInput(BlackboxError):
    """The caller's request can never succeed as it stands."""


class InvalidSpec(InvalidInput):
    """A field of a specification is wrong."""


class ShapeMismatch(InvalidInput):
    """An array has another shape or dtype than expected."""


class UnknownUnit(InvalidInput):
    """No such layer or unit in the oracle."""


class MessageTooLarge(InvalidInput):
    """The message holds more bytes than its receiver takes at once."""


class NotFound(BlackboxError):
    """No such study, oracle, generator or file."""


class Conflict(BlackboxError):
    """The request clashes with what is already there."""


class StudyExists(Conflict):
    """A study of this id exists with another specification."""


class StudyClosed(Conflict):
    """The study has ended, or is in a state that forbids this."""


class SequenceTaken(Conflict):
    """Another process appended to this study first: catch up and decide again."""


class Unsupported(BlackboxError):
    """Asked for more than this part can do."""


class GradientUnavailable(Unsupported):
    """An order-1 optimizer needs gradients that this oracle or generator lacks."""


class CapabilityMissing(Unsupported):
    """The oracle lacks the capability that was asked of it."""


class MissingExtra(Unsupported):
    """An optional package is not installed."""

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtra:
        """The error for `package`, which the optional dependency group `extra` brings."""
        return cls(
            f"the package {package!r} is not installed; "
            f"cure it with: pip install 'blackbox-am[{extra}]'"
        )


class OracleError(BlackboxError):
    """The model could not be evaluated."""


class OracleFailed(OracleError):
    """The oracle answered with an error, or with nonsense."""


class OracleUnavailable(OracleError):
    """The oracle cannot be reached."""


class OracleTimeout(OracleError):
    """The oracle did not answer in time."""


class OutOfMemory(OracleError):
    """The batch does not fit into memory."""


class StoreError(BlackboxError):
    """The journal could not be read or written."""


class StoreCorrupt(StoreError):
    """The file is damaged, or is not ours."""


class Denied(BlackboxError):
    """The caller may not do this."""


class Unauthenticated(Denied):
    """The caller did not say who they are."""


class Forbidden(Denied):
    """The caller is known and may not do this."""


class QuotaExceeded(Denied):
    """The caller has used up what they may use."""


class ServerError(BlackboxError):
    """A blackbox_am server could not serve."""


class ServerUnavailable(ServerError):
    """The server cannot be reached, or did not answer in time."""


class ServerFailed(ServerError):
    """The server failed in a way nobody foresaw: its log says more."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suffix for error messages: the nearest known names, or all of a short list.

    Returns:
        ``"; did you mean 'sep_cma'?"``, or ``"; known: a, b, c"`` where nothing is near.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(name) for name in near) + "?"
    if not names:
        return "; there are none"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; known: {shown}"
