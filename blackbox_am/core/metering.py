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
    """A sum that many threads may add to.

    Attributes:
        total: what was counted so far.
        kept: of that, what need not be asked again if the evaluation fails: a cache has it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = Accounting()
        self.kept = Accounting()

    def add(self, counts: Accounting) -> None:
        """Adds `counts`."""
        with self._lock:
            self.total += counts

    def keep(self, counts: Accounting) -> None:
        """Marks `counts`, added before, as kept."""
        with self._lock:
            self.kept += counts


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering() -> Iterator[Meter]:
    """A meter for all that is counted within; in the end, the meter around it gets it too."""
    meter, outer = Meter(), _current.get()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)
        if outer is not None:
            outer.add(meter.total)
            outer.keep(meter.kept)


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
