"""What each principal may use. Without tokens there are no quotas."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import msgspec

from blackbox_am.core.accounts import Account, Order
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
        queries: rows of the server's oracles, over all time, also of the time before the quota:
            the whole budget of each study that is created or extended, and each row that an oracle
            is asked to observe, whether or not the oracle then fails.
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

    Requests and rows in flight are counted by each server for itself; the rest in the store, in the
    transaction that uses what is counted.

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

    def rows_at_a_time(self, rows: int) -> int:
        """`rows`, or fewer if the caller may not compute so many at a time; 1 at least."""
        most = self._mine()[1].rows_in_flight
        return rows if most is None else max(1, min(rows, most))

    def order(self, rows: int, owner: str | None = None) -> None:
        """Counts rows of oracles, now or in a search; the counted rows stay counted.

        They are counted also while there is no quota, so that a later one knows them.

        Args:
            rows: how many.
            owner: the principal for whom they are counted; the caller if None.

        Raises:
            QuotaExceeded: if they are more than what is left.
        """
        account = self.account(owner)
        if account is not None and rows:
            self._claims.order(account, rows)

    @contextmanager
    def ordering(self, rows: int, owner: str) -> Iterator[None]:
        """Counts rows as `order`, unless the context fails."""
        self.order(rows, owner)
        try:
            yield
        except BaseException:
            if owner and rows:
                self._claims.give_back(owner, rows)
            raise

    def new_study(self, rows: int) -> Order | None:
        """What a new study takes from the caller's account, for the store; None without tokens."""
        account = self.account()
        return None if account is None else Order(account, rows)

    def check_room(self, studies: int, rows: int, owner: str | None = None) -> None:
        """Checks that a principal may have more studies, with these rows of oracles. Nothing is
        counted: this only refuses early what the store would refuse in the middle.

        Raises:
            QuotaExceeded: if it may not.
        """
        account = self.account(owner)
        if account is not None:
            account.check_studies(self._claims.count(account.principal, "studies"), studies)
            account.check_queries(self._claims.ordered(account.principal), rows)

    def check_artifact(self, size: int) -> None:
        """Checks that the caller may write an artifact; as early as `check_room`.

        Raises:
            QuotaExceeded: if it may not.
        """
        account = self.account()
        if account is not None and account.stored_bytes is not None:
            account.check_bytes(self._claims.stored_bytes(account.principal), size)

    def account(self, owner: str | None = None) -> Account | None:
        """The account of a principal, or of the caller if `owner` is None; None without tokens."""
        name, quota = self._mine(owner)
        if not name:
            return None
        return Account(name, quota.studies, quota.queries, quota.stored_bytes)

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
