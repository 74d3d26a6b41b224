"""The measurement of an oracle before a study's search: whether it repeats its answers."""

from __future__ import annotations

from blackbox_am.core.space import build_space
from blackbox_am.core.types import Accounting, Purpose, StopReason
from blackbox_am.errors import QuotaExceeded
from blackbox_am.evaluation import LocalEvaluator
from blackbox_am.studies.billing import billed
from blackbox_am.studies.events import OracleProbed
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.loop import UnbilledUsage
from blackbox_am.studies.probing import probed
from blackbox_am.studies.resolving import Request, settle, units_of


def evaluator_of(
    live: LiveStudy, request: Request, unbilled: UnbilledUsage | None = None
) -> LocalEvaluator | None:
    """The evaluator of a study's candidates, after the measurement of its oracle.

    Args:
        live: the study.
        request: its models.
        unbilled: as of `loop.run`.

    Returns:
        None if this measurement has used up the oracle's quota, and the study is paused.

    Raises:
        OracleError: if the oracle fails.
        InvalidSpec: for a cached oracle that does not repeat its answers.
        NotOwner, StoreError: as `loop.run`.
    """
    generator, oracle = request.generator, request.oracle
    assert generator is not None  # StudySpec takes no oracle without one
    assert oracle is not None  # the oracle evaluates this study
    if not live.study.probed and live.study.untouched:
        live.start()
        try:
            _measure(live, request, unbilled or UnbilledUsage())
        except QuotaExceeded as error:
            live.suspend(error.message, StopReason.BUDGET)
            return None
    study = live.study
    return LocalEvaluator(
        generator,
        oracle,
        tuple(target.objective for target in study.targets),
        study.created.batch_size,
        tuple(target.criterion for target in study.targets if target.criterion is not None),
    )


def _measure(live: LiveStudy, request: Request, unbilled: UnbilledUsage) -> None:
    generator, oracle, study = request.generator, request.oracle, live.study
    assert generator is not None
    assert oracle is not None
    if study.created.noisy:  # the oracle declares itself not deterministic
        return
    units = list(dict.fromkeys(units_of([target.layout for target in study.targets])))
    with billed(live, unbilled, Purpose.PROBE, billable=oracle.billable) as meter:
        found = probed(oracle, generator, units, study.spec.seed, str(request.device))
    settled = settle(request, build_space(study.space), found)
    spent = unbilled.total + meter.total.marked(Purpose.PROBE)
    unbilled.total = Accounting()
    live.settle(
        OracleProbed(
            settled.noisy,
            settled.spec,
            settled.population,
            settled.batch_size,
            settled.warning,
            spent,
        )
    )
