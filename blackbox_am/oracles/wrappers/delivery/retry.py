"""Repeats calls whose answer was lost."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
)

from blackbox_am.core.abandoning import CallAbandoned, abandoned
from blackbox_am.core.metering import Meter, count, metering
from blackbox_am.core.parameters import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import BlackboxError, OracleFailed, OracleTimeout, OracleUnavailable
from blackbox_am.oracles.wrappers.delivery._clock import Clock

log = logging.getLogger(__name__)

_RANDOM = random.SystemRandom()


@dataclass(frozen=True)
class Retry(Wrapper):
    """Repeats a call if the oracle was unavailable, timed out, or gave a time to try again.

    Before attempt n + 1 it waits min(longest, first * factor^(n - 1)) seconds, less a random part
    of up to the share `jitter`, so that clients that failed together do not retry together. An
    error's `retry_after` is obeyed: the wait is at least that long, or the call fails at once if
    `retry_after` is longer than `longest_seconds`.

    It tries again after `OracleUnavailable`, `OracleTimeout` and errors with `retry_after`;
    waiting does not remove other errors. A call that nobody waits for any more is not repeated.
    After the last attempt the last error is raised. A study on a server then waits and tries again
    by itself, and pauses after that.

    Attributes:
        attempts: calls in all, the first included.
        first_seconds: before the second attempt.
        factor: ratio of each wait to the wait before.
        longest_seconds: the longest wait.
        jitter: part of a wait that is random, 0 to 1.
        failures: whether to try again after `OracleFailed` too, for a model that sometimes gives
            invalid answers.
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
        spent: list[Meter] = []

        def attempt() -> torch.Tensor:
            if spent and abandoned():
                raise CallAbandoned.of(len(stimuli))
            with metering() as meter:
                spent.append(meter)
                return self.ask(stimuli, units)

        def before_sleep(state: RetryCallState) -> None:
            wait = 0.0 if state.next_action is None else state.next_action.sleep
            number, error = state.attempt_number, _error(state)
            log.info("attempt %d: %s; trying again in %.3g s", number, error, wait)
            count(spent[-1].lost())

        retrying = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=retry_if_exception(self._may_pass),
            sleep=self.clock.sleep,
            before_sleep=before_sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another attempt may succeed."""
        if not isinstance(error, BlackboxError) or isinstance(error, CallAbandoned):
            return False
        if error.retry_after is not None:
            return error.retry_after <= self.longest_seconds
        passing = (OracleUnavailable, OracleTimeout, *([OracleFailed] if self.failures else []))
        return isinstance(error, passing)

    def _wait(self, state: RetryCallState) -> float:
        """Seconds to wait before the next attempt."""
        growing = wait_exponential(self.first_seconds, self.longest_seconds, self.factor)
        wait = growing(state) * (1 - self.jitter * _RANDOM.random())
        error = _error(state)
        asked = error.retry_after if isinstance(error, BlackboxError) else None
        return max(wait, asked or 0.0)


def _error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
