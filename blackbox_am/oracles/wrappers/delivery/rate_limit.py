"""Limits on rows and calls in a second, and in a day.

The rates are kept here and not by a library (`limits`, `pyrate-limiter`): those refuse a request
that is larger than the limit, and a batch of 64 rows at 10 rows a second is such a request.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import torch

from blackbox_am.core.abandoning import CallAbandoned, abandoned
from blackbox_am.core.parameters import check
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec, OracleUnavailable
from blackbox_am.oracles.wrappers.delivery._clock import Clock
from blackbox_am.oracles.wrappers.delivery._ledger import Ledger

_DAY_SECONDS = 86400
_OPENING = threading.Lock()


@dataclass(frozen=True)
class RateLimit(Wrapper):
    """Limits the rows or calls in a second, and in a day, over all studies that share the oracle.

    A call is never split. The next call waits until the rates allow it, so that over any period
    the rates are exceeded by one call at most. Calls are made in the order in which they came. A
    call that nobody waits for any more is not made; it counts for the limits of the day.
    Days are days of UTC. A call that would exceed the limit of the day is not made: it raises
    `OracleUnavailable` with the seconds until the next day.

    The wrapped oracle counts as billable: no padding rows are sent, as they would use the rate.

    Attributes:
        rows_per_second, calls_per_second, rows_per_day, calls_per_day: the limits, one or more.
        path: SQLite file that keeps the counts of the day; empty: a restart begins at 0.

    Raises:
        InvalidSpec: for a limit that is not positive, or where none is given.
        StoreError: on use, where the file cannot be read or written.
    """

    kind: ClassVar[str] = "rate_limit"
    clock: ClassVar[Clock] = Clock()

    rows_per_second: float | None = None
    calls_per_second: float | None = None
    rows_per_day: int | None = None
    calls_per_day: int | None = None
    path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        fields = ("rows_per_second", "calls_per_second", "rows_per_day", "calls_per_day")
        limits = {field: getattr(self, field) for field in fields}
        for field, limit in limits.items():
            check(limit is None or 0 < limit < math.inf, field, "a positive number", limit)
        if all(limit is None for limit in limits.values()):
            raise InvalidSpec(
                f"rate_limit: give a limit, one of {', '.join(fields)}", field=fields[0]
            )

    @property
    def billable(self) -> bool:  # type: ignore[override]  # as in Wrapper
        """True, because padding would use up the rate."""
        return True

    def around(self, info: OracleInfo) -> OracleInfo:
        self._opened()  # a file that cannot be opened fails here
        return info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        rows = len(stimuli)
        state = self._opened()
        if self.rows_per_day is not None or self.calls_per_day is not None:
            self._use_day(state, rows)
        now, seconds = self.clock.now(), self._seconds(rows)
        start = state.turn(now, seconds)
        if start > now:
            self.clock.sleep(start - now)
        if abandoned():
            state.give_back(start, seconds)
            raise CallAbandoned.of(rows)
        return self.ask(stimuli, units)

    def close(self) -> None:
        """Closes the file and the inner oracle."""
        with _OPENING:
            state = vars(self).pop("_state", None)
        if state is not None:
            state.days.close()
        super().close()

    def _seconds(self, rows: int) -> float:
        """Seconds that a call of so many rows keeps the rates busy."""
        by_rows = 0.0 if self.rows_per_second is None else rows / self.rows_per_second
        by_calls = 0.0 if self.calls_per_second is None else 1 / self.calls_per_second
        return max(by_rows, by_calls)

    def _use_day(self, state: _State, rows: int) -> None:
        now = self.clock.wall()
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        wanted = {"rows": (rows, self.rows_per_day), "calls": (1, self.calls_per_day)}
        amounts = {f"{noun} {day}": amount for noun, (amount, _) in wanted.items()}
        limits = {f"{n} {day}": limit for n, (_, limit) in wanted.items() if limit is not None}
        used = state.days.add(amounts, limits)
        if used is None:
            return
        words = ", ".join(
            f"{used[key]} of {limit} {key.split()[0]}" for key, limit in limits.items()
        )
        raise OracleUnavailable(
            f"the limit of the day does not allow {rows} more rows: {words} are used on {day} "
            "(UTC); the count starts again at midnight",
            retry_after=_DAY_SECONDS - now % _DAY_SECONDS,
        )

    def _opened(self) -> _State:
        with _OPENING:
            if "_state" not in vars(self):
                vars(self)["_state"] = _State(Ledger(self.path))
            state: _State = vars(self)["_state"]
            return state


class _State:
    """When the next call may be made, and the counts of the day."""

    def __init__(self, days: Ledger) -> None:
        self.days = days
        self._lock = threading.Lock()
        self._free = -math.inf

    def turn(self, now: float, seconds: float) -> float:
        """Reserves time for a call that keeps the rates busy for `seconds`; returns its start."""
        with self._lock:
            start = max(now, self._free)
            self._free = start + seconds
            return start

    def give_back(self, start: float, seconds: float) -> None:
        """Gives back the time of a call that is not made, if no later call has reserved."""
        with self._lock:
            if self._free == start + seconds:
                self._free = start
