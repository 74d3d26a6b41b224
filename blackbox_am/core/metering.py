"""Counting what an evaluation costs, where it is spent: at the oracle.

Whoever evaluates opens a meter; whatever is asked of oracles beneath it is added up, in
any thread that runs in the same context (`contextvars`). Without a meter nothing is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from blackbox_am.core.types import Accounting

if TYPE_CHECKING:
    import torch

    from blackbox_am.core.oracle import Oracle
    from blackbox_am.core.units import Unit


class Meter:
    """A sum that many threads may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Accounting()

    @property
    def total(self) -> Accounting:
        """What was counted so far."""
        return self._total

    def add(self, counts: Accounting) -> None:
        """Adds `counts`."""
        with self._lock:
            self._total += counts


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering() -> Iterator[Meter]:
    """A meter for all that is counted within, and not also for the one around it."""
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def count(counts: Accounting) -> None:
    """Adds to the meter that is open, if there is one."""
    meter = _current.get()
    if meter is not None:
        meter.add(counts)


def observed(oracle: Oracle, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
    """What `oracle.observe` returns; the call and its rows are counted, whatever comes of it."""
    if not oracle.counts_itself:
        count(Accounting(calls=1, rows=len(stimuli)))
    return oracle.observe(stimuli, units)
