"""The loop that evaluates a study in this process; the study treats it like any other client.

While a generation is written to the journal, the next one is proposed, rendered and observed. One
generation at most is in this state: its write has ended before the next one is told and before
anybody else sees the study. Measured on a CPU with the shipped models (`bench loop`, part a): an
append takes 0.4 % to 2 % of the time of a generation of 256 to 20 rows, and more of a faster model.

The answers of a billable oracle are in the journal before the next portion of rows is measured
(see `portions`), and the note on a call (`asked`) continues the journal's accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Self

from blackbox_am.core.chain import RECHECK
from blackbox_am.core.metering import metering
from blackbox_am.core.observation import count_by_reason, failures, in_words
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
from blackbox_am.studies.billing import UnbilledUsage, meter_of
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.portions import Portion, next_portion, scored_before
from blackbox_am.studies.successes import missing, observed_until_success


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
    with _Journal(live, unbilled, after_generation, behind=not evaluator.billable) as journal:
        while live.study.state is StudyState.RUNNING and not stopped():
            try:
                _measure(live, evaluator, unbilled, journal)
            except StudyClosed:
                break  # cancelled, or finished by clients, during the measurement
            except QuotaExceeded as error:
                journal.written()
                unbilled.settle(live)  # so that the bill is complete when the study stops
                live.suspend(error.message, StopReason.BUDGET)
                break
        journal.written()


class _Journal:
    """The writes of a study's generations, the last of which may still be going on.

    Args:
        live: the study.
        unbilled: receives the accounts of a generation that could not be written.
        after_generation: called on the loop's thread, when the generation is in the store.
        behind: whether a generation is written while the next one is measured.

    Attributes:
        writer: the writer for `LiveStudy.tell_generation`.
    """

    def __init__(
        self,
        live: LiveStudy,
        unbilled: UnbilledUsage,
        after_generation: Callable[[LiveStudy], None],
        *,
        behind: bool,
    ) -> None:
        self.writer = ThreadPoolExecutor(1, "journal") if behind else None
        self._live = live
        self._unbilled = unbilled
        self._after_generation = after_generation
        self._unreported = False
        self._at_risk = Accounting()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left, however the loop ends.

        If this fails, the note of the last call has the accounts, and the process that recovers the
        study bills them.
        """
        if self.writer is not None:
            self.writer.shutdown()
        for last in (self.written, lambda: self._unbilled.settle(self._live)):
            with suppress(StoreError, SequenceTaken, NotOwner):
                last()

    def told(self, at_risk: Accounting, *, closed: bool) -> None:
        """Record that a generation, or a portion of it, was told.

        Args:
            closed: whether the generation is complete.
            at_risk: the accounts to bill if the generation is lost, because it is then repeated
                from its start, by this process or another.
        """
        self._unreported, self._at_risk = closed, at_risk
        if self.writer is None:
            self.written()

    def written(self) -> None:
        """Wait until the last generation is in the store, and report it.

        Raises:
            NotOwner, StoreError, SequenceTaken: if it could not be written.
        """
        unreported, self._unreported = self._unreported, False
        at_risk, self._at_risk = self._at_risk, Accounting()
        try:
            self._live.written()
        except BaseException:
            self._unbilled.total += at_risk
            raise
        if unreported:
            self._after_generation(self._live)


def _measure(
    live: LiveStudy, evaluator: Evaluator, unbilled: UnbilledUsage, journal: _Journal
) -> None:
    generation = live.generation()
    purpose = Purpose.RECHECK if live.study.rechecking else None
    live.check_owned()
    meter = meter_of(live, unbilled, purpose, billable=evaluator.billable)
    try:
        with metering(meter):
            portion = _evaluated(live, evaluator, generation)
        result = portion.observation
        journal.written()
        spent = unbilled.total + result.usage.marked(purpose)
        told = live.tell_generation(generation, result, spent, journal.writer)
    except StudyClosed:
        unbilled.total += meter.total.marked(purpose)
        raise
    except BaseException:
        # The generation is repeated from its start, by this process or another.
        unbilled.total += (meter.total + meter.lost()).marked(purpose)
        raise
    unbilled.total = Accounting() if told else spent
    at_risk = spent + meter.lost().marked(purpose)
    journal.told(at_risk if told else Accounting(), closed=live.study.generation > generation.index)
    if portion.error is not None:
        unbilled.total += portion.lost.marked(purpose)
        raise portion.error


def _evaluated(live: LiveStudy, evaluator: Evaluator, generation: Generation) -> Portion:
    study = live.study
    gradients = live.search.optimizer.order == 1 and not study.rechecking
    in_portions = evaluator.billable and not gradients
    wanted = missing(study, generation.wanted) if in_portions else generation.wanted
    rows = Rows.of(
        generation.latents,
        generation.targets,
        wanted,
        generation=RECHECK if study.rechecking else generation.index,
        apart=study.rechecking,
    )
    if in_portions:
        portion = next_portion(study, evaluator, rows)
    else:
        portion = Portion(observed_until_success(study, evaluator, rows, gradients=gradients))
    observation = portion.observation
    own = study.scorer.own(observation.targets)
    codes = failures(observation.values, observation.rendered, own)
    if codes.all() and not (in_portions and scored_before(study)):
        reasons = in_words(count_by_reason(codes))
        raise OracleFailed(
            f"all {len(codes)} rows of generation {generation.index} failed ({reasons}); "
            "check generator and model on one stimulus first"
        )
    return portion
