"""Calls made again where an answer was lost."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.metering import count, metering
from blackbox_am.core.ranges import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import BlackboxError, OracleFailed, OracleTimeout, OracleUnavailable
from blackbox_am.oracles.wrappers.delivery._clock import Clock

log = logging.getLogger(__name__)

_RANDOM = random.SystemRandom()


@dataclass(frozen=True)
class Retry(Wrapper):
    """Makes a call again where the oracle was away, late, or said when to come back.

    Before attempt n + 1 it waits min(longest, first * factor^(n - 1)) seconds, less a random
    part up to `jitter` of that, so that clients that failed together do not come back
    together. An error that says when to come back (`retry_after`) is obeyed: it waits that
    long at least, or gives up at once where that is longer than `longest_seconds`.

    It tries again after `OracleUnavailable`, `OracleTimeout` and what carries `retry_after`;
    nothing else can get better. After the last attempt the last error is raised, and a study
    on a server waits and tries in its turn, then pauses.

    Attributes:
        attempts: calls in all, the first included.
        first_seconds: before the second attempt.
        factor: each wait is that much longer than the one before.
        longest_seconds: of a wait.
        jitter: part of a wait that is random, 0 to 1.
        failures: try again after `OracleFailed` too: a model that answers nonsense now and then.
    """

    kind: ClassVar[str] = "retry"
    clock: ClassVar[Clock] = Clock()

    attempts: int = 5
    first_seconds: float = 0.5
    factor: float = 2.0
    longest_seconds: float = 30.0
    jitter: float = 0.5
    failures: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.attempts >= 1, "attempts", "1 or more", self.attempts)
        for field in ("first_seconds", "longest_seconds"):
            value = getattr(self, field)
            check(0 <= value < math.inf, field, "0 or more", value)
        check(1 <= self.factor < math.inf, "factor", "1 or more", self.factor)
        check(0 <= self.jitter <= 1, "jitter", "0 to 1", self.jitter)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        for attempt in range(1, self.attempts):
            try:
                with metering() as meter:
                    return self.ask(stimuli, units)
            except BlackboxError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
                log.info("attempt %d: %s; trying again in %.3g s", attempt, error, wait)
            count(meter.lost())
            self.clock.sleep(wait)
        return self.ask(stimuli, units)

    def _wait(self, error: BlackboxError, attempt: int) -> float | None:
        """Seconds to wait after that attempt; None where there is no use in another."""
        passing = isinstance(error, (OracleUnavailable, OracleTimeout)) or (
            self.failures and isinstance(error, OracleFailed)
        )
        if not passing and error.retry_after is None:
            return None
        # Of a power that overflows, longest_seconds is the smaller.
        steps = min(attempt - 1, 1000 / math.log2(self.factor)) if self.factor > 1 else 0
        wait = min(self.longest_seconds, self.first_seconds * self.factor**steps)
        wait *= 1 - self.jitter * _RANDOM.random()
        if error.retry_after is None:
            return wait
        if error.retry_after > self.longest_seconds:
            return None
        return max(wait, error.retry_after)
