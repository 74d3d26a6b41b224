"""The accounts of a study's oracle calls between the call and the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from blackbox_am.core.metering import Meter, metering
from blackbox_am.core.types import Accounting, Purpose
from blackbox_am.errors import NotOwner, SequenceTaken, StoreError
from blackbox_am.studies.asked import noting
from blackbox_am.studies.live import LiveStudy


class UnbilledUsage:
    """Accounts of a study's oracle calls that are not in its journal yet.

    They belong to one lease. If the study has another lease since, its owner has billed the notes.

    Attributes:
        total: the sum.
    """

    def __init__(self) -> None:
        self.total = Accounting()
        self._token: int | None = None

    def begin(self, live: LiveStudy) -> None:
        """Drop accounts that were billed under another lease than that of `live`."""
        if self._token != live.token:
            self.total, self._token = Accounting(), live.token

    def settle(self, live: LiveStudy) -> None:
        """Write the accounts to the journal, if there are any."""
        if self.total != Accounting():
            live.bill(self.total)
            self.total = Accounting()


def meter_of(
    live: LiveStudy, unbilled: UnbilledUsage, purpose: Purpose | None, *, billable: bool
) -> Meter:
    """The meter of the next calls of the study's oracle.

    Args:
        live: the study.
        unbilled: accounts that are not in the journal yet.
        purpose: of the rows; None for the search.
        billable: whether the oracle's rows cost something, so that each call is noted before it is
            made.
    """
    if not billable or live.ownership is None:
        return Meter()
    return noting(live.store, live.ownership, live.study.spent + unbilled.total, purpose)


@contextmanager
def billed(
    live: LiveStudy, unbilled: UnbilledUsage, purpose: Purpose, *, billable: bool
) -> Iterator[Meter]:
    """Counts the oracle's calls inside the context. After a failure, the calls are billed, because
    the measurement is repeated from its beginning, by this process or another.

    Args:
        live: the study.
        unbilled: receives the accounts that could not be written.
        purpose: of the rows.
        billable: whether the oracle's rows cost something, so that each call is noted before it is
            made.

    Raises:
        NotOwner, StoreError: if the study has another owner, or a note cannot be written.
    """
    unbilled.begin(live)
    live.check_owned()
    meter = meter_of(live, unbilled, purpose, billable=billable)
    try:
        with metering(meter):
            yield meter
    except BaseException:
        unbilled.total += (meter.total + meter.lost()).marked(purpose)
        with suppress(StoreError, SequenceTaken, NotOwner):
            unbilled.settle(live)
        raise
