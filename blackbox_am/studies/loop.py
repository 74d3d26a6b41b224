"""The loop that evaluates a study in this process, as one more client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from blackbox_am.core.metering import Meter, metering
from blackbox_am.core.observation import Observation, count_by_reason, failures, in_words
from blackbox_am.core.types import Accounting, StopReason, StudyState
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
    """What was asked of the oracle for a study, and is not in its journal yet.

    It belongs to one lease. Once the study has another, its owner has billed what was noted.

    Attributes:
        total: the sum.
    """

    def __init__(self) -> None:
        self.total = Accounting()
        self._token: int | None = None

    def begin(self, live: LiveStudy) -> None:
        """Forgets what was billed under another lease than that of `live`."""
        if self._token != live.token:
            self.total, self._token = Accounting(), live.token

    def settle(self, live: LiveStudy) -> None:
        """Writes it to the journal, where there is anything."""
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
    """Evaluates generation after generation until the study ends, or is paused.

    Where the oracle's quota is used up, it pauses the study itself.

    Args:
        live: the study.
        evaluator: measures its candidates.
        stopped: asked before each generation; True leaves the study as it is, to be
            resumed by whoever takes it up again.
        after_generation: called after each, for progress.
        unbilled: what an earlier attempt could not write, and where this one leaves what it cannot.

    Raises:
        OracleError: where the oracle fails, or every row of a generation is nan.
        NotOwner: where another process runs the study.
        StoreError: where the store cannot be written.
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
                return  # cancelled, or finished by clients, while it was being measured
            except QuotaExceeded as error:
                unbilled.settle(live)  # so that the bill is complete when the study stops
                live.suspend(error.message, StopReason.BUDGET)
                return
            after_generation(live)


@contextmanager
def _settled(live: LiveStudy, unbilled: UnbilledUsage) -> Iterator[None]:
    """Has what is unbilled written in the end, whatever the end is.

    Where that fails, the note of the last call tells of it, and whoever recovers the study
    bills it.
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
    live.check_owned()
    meter = Meter()
    if evaluator.billable and live.ownership is not None:
        meter = noting(live.store, live.ownership, live.study.spent + unbilled.total)
    try:
        with metering(meter):
            result = _evaluated(live, evaluator, generation, gradients=gradients)
        told = live.tell_generation(generation, result, unbilled.total + result.usage)
    except StudyClosed:
        unbilled.total += meter.total
        raise
    except BaseException:
        # It is asked again from the beginning, by this process or another.
        unbilled.total += meter.total + meter.lost()
        raise
    unbilled.total = Accounting() if told else unbilled.total + result.usage


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
