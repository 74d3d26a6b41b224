"""Counts of calls, for those who look after a server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """The counts of a tally at one moment.

    Attributes:
        calls: calls that have ended, also those that failed.
        rows: rows of these calls.
        seconds: duration of these calls together.
        errors: number of failed calls for each class of error.
    """

    calls: int
    rows: int
    seconds: float
    errors: dict[str, int]


class Tally:
    """Counts calls of one kind. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = self._rows = 0
        self._seconds = 0.0
        self._errors: Counter[str] = Counter()

    @contextmanager
    def counting(self, rows: int = 0) -> Iterator[None]:
        """Counts the call inside the context.

        Args:
            rows: number of its rows.
        """
        began, failed = time.perf_counter(), ""
        try:
            yield
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            self.add(time.perf_counter() - began, rows, failed)

    def add(self, seconds: float, rows: int = 0, failed: str = "") -> None:
        """Counts a call that has ended.

        Args:
            seconds: its duration.
            rows: number of its rows.
            failed: the class of its error; empty if it has succeeded.
        """
        with self._lock:
            self._calls += 1
            self._rows += rows
            self._seconds += seconds
            if failed:
                self._errors[failed] += 1

    def counts(self) -> Counts:
        """The counts up to now."""
        with self._lock:
            return Counts(self._calls, self._rows, self._seconds, dict(self._errors))
