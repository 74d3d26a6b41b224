"""A clock that a test moves, and an oracle that does as it is told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.oracles.simulated import Simulated


class HandClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.seconds += seconds


@dataclass(frozen=True)
class TellResult(Oracle):
    """A simulation that does, call by call, what `script` says: raise, or anything else."""

    kind: ClassVar[str] = "told"
    billable: ClassVar[bool] = True
    script: list[Exception | Callable[[], object] | None] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    gradients: bool = False

    def describe(self):
        return Simulated(gradients=self.gradients).describe()

    def observe(self, stimuli, units):
        self.batches.append(len(stimuli))
        act = self.script.pop(0) if self.script else None
        if isinstance(act, Exception):
            raise act
        if act is not None:
            act()
        return Simulated(gradients=self.gradients).observe(stimuli, units)


@pytest.fixture
def told() -> TellResult:
    return TellResult()


@pytest.fixture
def hand_clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """In place of the clock of every wrapper."""
    from blackbox_am.oracles.wrappers.delivery.circuit_breaker import CircuitBreaker
    from blackbox_am.oracles.wrappers.delivery.rate_limit import RateLimit
    from blackbox_am.oracles.wrappers.delivery.retry import Retry

    clock = HandClock()
    for wrapper in (CircuitBreaker, RateLimit, Retry):
        monkeypatch.setattr(wrapper, "clock", clock)
    return clock


@pytest.fixture
def units() -> list[Unit]:
    return [Unit("units", j) for j in range(10)]


@pytest.fixture
def images() -> torch.Tensor:
    """(6, 3, 8, 8)"""
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
