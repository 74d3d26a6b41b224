"""Counting what an evaluation costs, where it is spent: at the oracle.

Whoever evaluates opens a meter; whatever is asked of oracles beneath it is added up, in
any thread that runs in the same context (`contextvars`). Without a meter nothing is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
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

    Args:
        outer: another meter, which gets all of it too.
        on_call: told before each call that is made (it has been added), and after one that
            turned out not to have been; one thread at a time. What it raises keeps the call
            from being made, and counted.

    Attributes:
        total: what was counted so far.
        kept: of that, what need not be asked again if the evaluation fails: a cache has it.
    """

    def __init__(
        self, outer: Meter | None = None, on_call: Callable[[Meter], None] | None = None
    ) -> None:
        self._outer = outer
        self._on_call = on_call
        self._lock = threading.Lock()
        self.total = Accounting()
        self.kept = Accounting()

    def add(self, counts: Accounting) -> None:
        """Adds `counts`."""
        with self._lock:
            self.total += counts
            if self._on_call is not None and counts.calls:
                try:
                    self._on_call(self)
                except BaseException:
                    self.total += -counts  # the call is not made
                    raise
        if self._outer is not None:
            self._outer.add(counts)

    def lost(self) -> Accounting:
        """What has to be asked again, and is not yet counted as a retry, if all this failed."""
        first_calls = self.total.calls - self.total.retries
        first_rows = self.total.rows - self.total.retried_rows
        return Accounting(
            retries=first_calls - (self.kept.calls - self.kept.retries),
            retried_rows=first_rows - (self.kept.rows - self.kept.retried_rows),
        )

    def keep(self, counts: Accounting) -> None:
        """Marks `counts`, added before, as kept."""
        with self._lock:
            self.kept += counts
        if self._outer is not None:
            self._outer.keep(counts)


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering(meter: Meter | None = None) -> Iterator[Meter]:
    """A meter for all that is counted within: a new one, which the one around it hears of."""
    meter = meter or Meter(_current.get())
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
