"""The clock that wrappers read; tests put another in its place."""

from __future__ import annotations

import time


class Clock:
    """The clock of the machine."""

    def now(self) -> float:
        """Seconds from an arbitrary moment."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Returns after so many seconds."""
        time.sleep(seconds)
