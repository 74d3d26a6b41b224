"""The account of a measurement outside the search, written before each call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from blackbox_am.core.metering import Meter, metering
from blackbox_am.core.types import Purpose
from blackbox_am.errors import NotOwner, SequenceTaken, StoreError
from blackbox_am.studies.asked import noting
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.loop import UnbilledUsage


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
    meter = Meter()
    if billable and live.ownership is not None:
        before = live.study.spent + unbilled.total
        meter = noting(live.store, live.ownership, before, purpose)
    try:
        with metering(meter):
            yield meter
    except BaseException:
        unbilled.total += (meter.total + meter.lost()).marked(purpose)
        with suppress(StoreError, SequenceTaken, NotOwner):
            unbilled.settle(live)
        raise
