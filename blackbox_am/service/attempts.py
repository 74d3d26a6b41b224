"""How often a worker repeats a call that failed, and how long it waits before each attempt."""

from __future__ import annotations

from collections import Counter

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
    """The attempts of one study since its last success. Each class of errors has its own number of
    attempts and its own delays.

    Args:
        delays: seconds before each new attempt.

    Attributes:
        failed: number of attempts that have failed since the last success, with an error of the
            class of the last error.
    """

    def __init__(self, delays: tuple[float, ...]) -> None:
        self._delays = delays
        self._counts: Counter[type[BlackboxError]] = Counter()
        self.failed = 0

    def next(self, error: BlackboxError) -> float | None:
        """Seconds before the attempt after `error`; None if there are no more attempts for errors
        of its class.
        """
        every = len(self._delays) + 1
        kind, most = next(
            (one for one in _LIMITS if isinstance(error, one[0])), (type(error), every)
        )
        self._counts[kind] += 1
        self.failed = self._counts[kind]
        if self.failed >= min(most, every):
            return None
        return self._delays[self.failed - 1]

    def start_over(self) -> None:
        """Start again with the first delay, after a success."""
        self._counts.clear()
        self.failed = 0
