"""What each principal may use. Without tokens there are no quotas."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import msgspec

from blackbox_am.core.principals import Claims
from blackbox_am.errors import QuotaExceeded
from blackbox_am.service.auth.principals import caller

DEFAULT = "default"
"""Name of the quota of principals without one of their own."""
ROWS_RETRY_SECONDS = 1.0

Count = Annotated[int, msgspec.Meta(ge=0)]


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one principal; None does not limit.

    Attributes:
        studies: number of studies that exist at a time.
        queries: rows of the server's oracles, over all time: the whole budget of each study that
            is created or extended, and each observed row.
        rows_in_flight: rows that are observed, drawn or rendered at a time.
        stored_bytes: bytes of the written artifacts.
        requests_per_second: calls a second, on average; twice as many may come at once.
    """

    studies: Count | None = None
    queries: Count | None = None
    rows_in_flight: Count | None = None
    stored_bytes: Count | None = None
    requests_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Quotas:
    """Counts what principals use. Safe to use from any thread.

    Requests and rows in flight are counted by each server for itself, the rest in the store.

    Args:
        limits: quotas by principal; `default` for all others.
        claims: what belongs to whom.
        clock: seconds of a clock that is never set.
    """

    def __init__(
        self,
        limits: Mapping[str, Quota],
        claims: Claims,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._claims = claims
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight: defaultdict[str, int] = defaultdict(int)
        self._buckets: dict[str, tuple[float, float]] = {}

    def request(self) -> None:
        """Counts one call.

        Raises:
            QuotaExceeded: if there are too many; with the time to wait.
        """
        name, quota = self._mine()
        rate = quota.requests_per_second
        if rate is None:
            return
        most = max(2 * rate, 1.0)
        with self._lock:
            now = self._clock()
            left, before = self._buckets.get(name, (most, now))
            left = min(left + rate * (now - before), most)
            if left >= 1:
                self._buckets[name] = (left - 1, now)
                return
            self._buckets[name] = (left, now)
        raise QuotaExceeded(
            f"{name!r} may make {rate:g} requests a second; wait, or make fewer",
            retry_after=(1 - left) / rate,
        )

    @contextmanager
    def rows(self, rows: int, *, queries: bool = True) -> Iterator[None]:
        """Counts rows while they are computed inside the context.

        Args:
            rows: how many.
            queries: whether an oracle observes them.

        Raises:
            QuotaExceeded: if they are too many.
        """
        name, quota = self._mine()
        most = quota.rows_in_flight
        if most is not None:
            self._take(name, rows, most)
        try:
            if queries:
                self.order(rows)
            yield
        finally:
            if most is not None:
                with self._lock:
                    self._in_flight[name] -= rows

    def order(self, rows: int, owner: str | None = None) -> None:
        """Counts rows of oracles, now or in a search; the counted rows stay counted.

        Args:
            rows: how many.
            owner: the principal for whom they are counted; the caller if None.

        Raises:
            QuotaExceeded: if they are more than what is left.
        """
        name, quota = self._mine(owner)
        if quota.queries is None or not rows:
            return
        total = self._claims.count_rows(name, rows)
        if total > quota.queries:
            total = self._claims.count_rows(name, -rows)
            raise _no_queries(name, rows, total, quota.queries)

    def give_back(self, rows: int, owner: str | None = None) -> None:
        """Undoes `order`, for a study that was not created or extended."""
        name, quota = self._mine(owner)
        if quota.queries is not None and rows:
            self._claims.count_rows(name, -rows)

    def check_room(self, studies: int, rows: int, owner: str | None = None) -> None:
        """Checks that a principal may have more studies, with these rows of oracles.

        Raises:
            QuotaExceeded: if it may not.
        """
        name, quota = self._mine(owner)
        if quota.studies is not None and studies:
            has = len(self._claims.owned(name, "studies"))
            if has + studies > quota.studies:
                raise QuotaExceeded(
                    f"{name!r} has {has} of {quota.studies} studies, and this needs {studies} "
                    "more; delete some first, or ask an operator for a larger quota"
                )
        if quota.queries is not None and rows:
            total = self._claims.count_rows(name, 0)
            if total + rows > quota.queries:
                raise _no_queries(name, rows, total, quota.queries)

    def artifact(self, size: int) -> None:
        """Checks that an artifact of `size` bytes may be written.

        Raises:
            QuotaExceeded: if it may not.
        """
        name, quota = self._mine()
        if quota.stored_bytes is None:
            return
        stored = self._claims.stored_bytes(name)
        if stored + size > quota.stored_bytes:
            raise QuotaExceeded(
                f"{name!r} has stored {stored} of {quota.stored_bytes} bytes, and this has {size}; "
                "delete studies whose artifacts are not needed, or ask an operator for a larger "
                "quota"
            )

    def _mine(self, owner: str | None = None) -> tuple[str, Quota]:
        principal = caller()
        name = owner if owner is not None else "" if principal is None else principal.name
        if not name:
            return "", _UNLIMITED
        return name, self._limits.get(name, self._limits.get(DEFAULT, _UNLIMITED))

    def _take(self, name: str, rows: int, most: int) -> None:
        with self._lock:
            going = self._in_flight[name]
            if going + rows <= most:
                self._in_flight[name] = going + rows
                return
        raise QuotaExceeded(
            f"{name!r} may compute {most} rows at a time, {going} are being computed, and this "
            f"needs {rows}; " + ("send fewer at a time" if rows > most else "wait for the others"),
            retry_after=None if rows > most else ROWS_RETRY_SECONDS,
        )


_UNLIMITED = Quota()


def _no_queries(name: str, rows: int, used: int, most: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"{name!r} has {max(most - used, 0)} of {most} queries left, and this needs {rows}; ask "
        "for fewer, or ask an operator for a larger quota"
    )
