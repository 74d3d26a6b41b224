"""Accounting of an evaluation, measured at the oracle.

The caller opens a meter. Every call of an oracle inside the meter's context is added to it, in any
thread with the same context (`contextvars`). Without a meter nothing is counted.
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
    """A sum to which several threads can add.

    Args:
        outer: another meter, which receives the same counts.
        on_call: called before each counted call (the call is already added), and after a call that
            was not made after all; only one thread at a time calls it. An exception of this
            function prevents the call, which is then not counted.

    Attributes:
        total: all counts so far.
        kept: counts of rows that need no second call if the evaluation fails, because a cache has
            their answers.
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
        """Add `counts`."""
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
        """Counts of rows that would have to be repeated, and are not yet counted as retries."""
        first_calls = self.total.calls - self.total.retries
        first_rows = self.total.rows - self.total.retried_rows
        return Accounting(
            retries=first_calls - (self.kept.calls - self.kept.retries),
            retried_rows=first_rows - (self.kept.rows - self.kept.retried_rows),
        )

    def keep(self, counts: Accounting) -> None:
        """Mark `counts`, which were added before, as kept."""
        with self._lock:
            self.kept += counts
        if self._outer is not None:
            self._outer.keep(counts)


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering(meter: Meter | None = None) -> Iterator[Meter]:
    """Open a new meter inside the context; an enclosing meter receives the same counts."""
    meter = meter or Meter(_current.get())
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def count(counts: Accounting) -> None:
    """Add to the open meter, if there is one."""
    meter = _current.get()
    if meter is not None:
        meter.add(counts)


def observed(oracle: Oracle, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
    """Call `oracle.observe`; the call and its rows are counted whether it succeeds or fails."""
    if not oracle.counts_itself:
        count(Accounting(calls=1, rows=len(stimuli)))
    return oracle.observe(stimuli, units)
