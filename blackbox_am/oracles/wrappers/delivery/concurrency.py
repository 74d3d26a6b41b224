"""A limit on the calls that run at the same time."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.abandoning import CallAbandoned, abandoned
from blackbox_am.core.parameters import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import OracleUnavailable


@dataclass(frozen=True)
class Concurrency(Wrapper):
    """Limits the number of calls that run at once, over all studies that share the oracle. Other
    calls wait. A call that nobody waits for any more when its turn comes is not made.

    Attributes:
        calls: how many calls run at once.
        wait_seconds: a call that has waited this long raises `OracleUnavailable`; None: no limit.
    """

    kind: ClassVar[str] = "concurrency"

    calls: int = 1
    wait_seconds: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.calls >= 1, "calls", "1 or more", self.calls)
        wait = self.wait_seconds
        check(wait is None or 0 < wait < math.inf, "wait_seconds", "a positive number", wait)
        _ = self._places  # made before threads can race for it

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        if not self._places.acquire(timeout=self.wait_seconds):
            raise OracleUnavailable(
                f"no place was free within {self.wait_seconds:g} s: {self.calls} calls are "
                "running; raise `calls` or `wait_seconds`"
            )
        try:
            if abandoned():
                raise CallAbandoned.of(len(stimuli))
            return self.ask(stimuli, units)
        finally:
            self._places.release()

    @cached_property
    def _places(self) -> threading.Semaphore:
        return threading.Semaphore(self.calls)
