"""The loop that evaluates a study in this process; the study treats it like any other client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from blackbox_am.core.metering import Meter, metering
from blackbox_am.core.observation import Observation, count_by_reason, failures, in_words
from blackbox_am.core.types import Accounting, Purpose, StopReason, StudyState
from blackbox_am.errors import (
    NotOwner,
    OracleFailed,
    QuotaExceeded,
    SequenceTaken,
    StoreError,
    StudyClosed,
)
from blackbox_am.evaluation import Evaluator, Rows
from blackbox_am.studies.asked import noting
from blackbox_am.studies.candidates import Generation
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


def run(
    live: LiveStudy,
    evaluator: Evaluator,
    *,
    stopped: Callable[[], bool] = lambda: False,
    after_generation: Callable[[LiveStudy], None] = lambda live: None,
    unbilled: UnbilledUsage | None = None,
) -> None:
    """Evaluate generations until the study ends or is paused.

    If the oracle's quota is used up, the loop pauses the study.

    Args:
        live: the study.
        evaluator: measures the candidates.
        stopped: called before each generation; True ends the loop and leaves the study to be
            resumed later.
        after_generation: called after each generation, for progress.
        unbilled: accounts that an earlier loop could not write; accounts that this loop cannot
            write remain there.

    Raises:
        OracleError: if the oracle fails, or if every row of a generation is nan.
        NotOwner: if another process runs the study.
        StoreError: if the store cannot be written.
    """
    unbilled = unbilled or UnbilledUsage()
    unbilled.begin(live)
    live.start()
    gradients = live.search.optimizer.order == 1
    with _settled(live, unbilled):
        while live.study.state is StudyState.RUNNING and not stopped():
            try:
                _measure(live, evaluator, unbilled, gradients=gradients)
            except StudyClosed:
                return  # the study was cancelled, or clients finished it, during the measurement
            except QuotaExceeded as error:
                unbilled.settle(live)  # so that the bill is complete when the study stops
                live.suspend(error.message, StopReason.BUDGET)
                return
            after_generation(live)


@contextmanager
def _settled(live: LiveStudy, unbilled: UnbilledUsage) -> Iterator[None]:
    """Write the unbilled accounts at the end, however the loop ends.

    If this fails, the note of the last call has the accounts, and the process that recovers the
    study bills them.
    """
    try:
        yield
    finally:
        with suppress(StoreError, SequenceTaken, NotOwner):
            unbilled.settle(live)


def _measure(
    live: LiveStudy, evaluator: Evaluator, unbilled: UnbilledUsage, *, gradients: bool
) -> None:
    generation = live.generation()
    purpose = Purpose.RECHECK if live.study.rechecking else None
    live.check_owned()
    meter = Meter()
    if evaluator.billable and live.ownership is not None:
        meter = noting(live.store, live.ownership, live.study.spent + unbilled.total, purpose)
    try:
        with metering(meter):
            result = _evaluated(live, evaluator, generation, gradients=gradients and not purpose)
        usage = result.usage.marked(purpose)
        told = live.tell_generation(generation, result, unbilled.total + usage)
    except StudyClosed:
        unbilled.total += meter.total.marked(purpose)
        raise
    except BaseException:
        # The generation is repeated from its start, by this process or another.
        unbilled.total += (meter.total + meter.lost()).marked(purpose)
        raise
    unbilled.total = Accounting() if told else unbilled.total + usage


def _evaluated(
    live: LiveStudy, evaluator: Evaluator, generation: Generation, *, gradients: bool
) -> Observation:
    rows = Rows.of(generation.latents, generation.targets, generation.wanted)
    observation = evaluator.submit(rows, gradients=gradients).result()
    own = live.study.scorer.own(observation.targets)
    codes = failures(observation.values, observation.rendered, own)
    if codes.all():
        reasons = in_words(count_by_reason(codes))
        raise OracleFailed(
            f"all {len(codes)} rows of generation {generation.index} failed ({reasons}); "
            "check generator and model on one stimulus first"
        )
    return observation
