"""How often a worker repeats a call that failed, and how long it waits before each attempt."""

from __future__ import annotations

from blackbox_am.errors import (
    BlackboxError,
    OracleError,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
    SequenceTaken,
    StoreError,
)
from blackbox_am.oracles.wrappers.delivery._limited import OracleHangs

PASSING = (OracleError, SequenceTaken, StoreError)
"""Errors after which another attempt can succeed."""
_LIMITS: tuple[tuple[type[OracleError], int], ...] = (
    (OracleHangs, 1),
    (OutOfMemory, 2),
    (OracleTimeout, 3),
    (OracleUnavailable, 1024),
    (OracleFailed, 3),
)
"""The most attempts for each class of fault; `retry_delays` may allow fewer."""


class Attempts:
    """The attempts of one study since its last success.

    Args:
        delays: seconds before each new attempt.

    Attributes:
        failed: number of attempts that have failed since the last success.
    """

    def __init__(self, delays: tuple[float, ...]) -> None:
        self._delays = delays
        self.failed = 0

    def next(self, error: BlackboxError) -> float | None:
        """Seconds before the attempt after `error`; None if there are no more attempts for errors
        of its class.
        """
        self.failed += 1
        most = next((n for kind, n in _LIMITS if isinstance(error, kind)), len(self._delays) + 1)
        if self.failed >= min(most, len(self._delays) + 1):
            return None
        return self._delays[self.failed - 1]

    def start_over(self) -> None:
        """Start again with the first delay, after a success."""
        self.failed = 0
