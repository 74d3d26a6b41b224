"""A limit on the rows, or the money, that a model may cost in total."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.metering import count
from blackbox_am.core.parameters import check
from blackbox_am.core.types import Accounting, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec, QuotaExceeded
from blackbox_am.oracles.wrappers.delivery._ledger import Ledger

_OPENING = threading.Lock()


@dataclass(frozen=True)
class Quota(Wrapper):
    """Counts rows and their price, and stops at a limit, over all studies that share the oracle.

    A call that would exceed the limit is not made: it raises `QuotaExceeded` with the bill, and
    a study stops with the stop reason budget. The study can be resumed when the quota is raised.
    Rows are billed when they are sent, whether or not the call succeeds. Each attempt is therefore
    billed if the quota is inside `retry`, and each hit is billed if the quota is around a cache.

    The wrapped oracle counts as billable: no padding rows are sent and paid.

    Attributes:
        rows: limit on the rows; None: no limit.
        cost: limit on the cost; None: no limit.
        cost_per_row: price of a row.
        currency: of the price, for messages.
        path: SQLite file that keeps the count; empty: a restart begins at 0.

    Raises:
        InvalidSpec: for a number out of range, or where neither a limit nor a price is given.
        StoreError: on use, where the file cannot be read or written.
    """

    kind: ClassVar[str] = "quota"

    rows: int | None = None
    cost: float | None = None
    cost_per_row: float = 0.0
    currency: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.rows is None or self.rows >= 1, "rows", "1 or more", self.rows)
        cost = self.cost
        check(cost is None or 0 < cost < math.inf, "cost", "a positive number", cost)
        check(0 <= self.cost_per_row < math.inf, "cost_per_row", "0 or more", self.cost_per_row)
        if self.cost is not None and not self.cost_per_row:
            raise InvalidSpec(
                "quota: a limit on the cost needs the cost of a row, cost_per_row",
                field="cost_per_row",
            )
        if self.rows is None and not self.cost_per_row:
            raise InvalidSpec("quota: give a limit, rows or cost, or a cost_per_row", field="rows")

    @property
    def billable(self) -> bool:  # type: ignore[override]  # as in Wrapper
        """True, because every row counts."""
        return True

    @property
    def limit(self) -> int | None:
        """Rows that both limits allow in total; None: no limit."""
        limits = [] if self.rows is None else [self.rows]
        if self.cost is not None:
            # A cost of 1.0 must allow ten rows at 0.1, although 1.0 / 0.1 may be rounded below 10.
            limits.append(math.floor(self.cost / self.cost_per_row * (1 + 1e-12)))
        return min(limits, default=None)

    def around(self, info: OracleInfo) -> OracleInfo:
        self._opened()  # a file that cannot be opened fails here
        return info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        limit = self.limit
        limits = {} if limit is None else {"rows": limit}
        used = self._opened().add({"rows": len(stimuli)}, limits)
        if used is not None:
            assert limit is not None  # nothing is refused without a limit
            error = QuotaExceeded(self._bill(used["rows"], len(stimuli)))
            error.rows_left = max(0, limit - used["rows"])
            raise error
        count(Accounting(cost=self.cost_per_row * len(stimuli)))
        return self.ask(stimuli, units)

    def close(self) -> None:
        """Closes the file and the inner oracle."""
        with _OPENING:
            ledger = vars(self).pop("_ledger", None)
        if ledger is not None:
            ledger.close()
        super().close()

    def _bill(self, used: int, wanted: int) -> str:
        text = f"the quota is used up: {used} of {self.limit} rows were asked"
        if self.cost_per_row:
            of = "" if self.cost is None else f" of {self.cost:.10g}"
            text += f", for {used * self.cost_per_row:.10g}{of} {self.currency}".rstrip()
        return f"{text}, and the next call has {wanted}; raise the quota to go on"

    def _opened(self) -> Ledger:
        with _OPENING:
            if "_ledger" not in vars(self):
                vars(self)["_ledger"] = Ledger(self.path)
            ledger: Ledger = vars(self)["_ledger"]
            return ledger
