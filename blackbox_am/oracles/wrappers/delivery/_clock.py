"""The clock that wrappers read; tests put another in its place."""

from __future__ import annotations

import time

from blackbox_am.core.abandoning import LOOK_SECONDS, abandoned


class Clock:
    """The clock of the machine."""

    def now(self) -> float:
        """Seconds from an arbitrary moment."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Returns after so many seconds, or as soon as nobody waits for the current call."""
        deadline = self.now() + seconds
        while (left := deadline - self.now()) > 0 and not abandoned():
            time.sleep(min(left, LOOK_SECONDS))
