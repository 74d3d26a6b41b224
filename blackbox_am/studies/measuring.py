"""The measurements of an oracle before a study's search: whether it repeats its answers, and its
answers to natural images.
"""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_am.core.batches import fixed_batch_size
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.repeating import Repeats
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import ArrayData
from blackbox_am.core.tensors import checksum
from blackbox_am.core.types import Accounting, Purpose, StopReason
from blackbox_am.errors import OracleFailed, QuotaExceeded
from blackbox_am.evaluation import LocalEvaluator
from blackbox_am.studies.baselines import encoded_start, natural_stimuli
from blackbox_am.studies.billing import UnbilledUsage, billed
from blackbox_am.studies.events import BaselineMeasured, OracleProbed
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.probing import Answers, Probed, probed
from blackbox_am.studies.resolving import Request, settle, units_of


def evaluator_of(
    live: LiveStudy, request: Request, unbilled: UnbilledUsage | None = None
) -> LocalEvaluator | None:
    """The evaluator of a study's candidates, after the measurements before its search.

    Args:
        live: the study.
        request: its models.
        unbilled: as of `loop.run`.

    Returns:
        None if these measurements have used up the oracle's quota, and the study is paused.

    Raises:
        OracleError: if the oracle fails.
        InvalidSpec: for a cached oracle that does not repeat its answers.
        NotOwner, StoreError: as `loop.run`.
    """
    generator, oracle = request.generator, request.oracle
    assert generator is not None  # StudySpec takes no oracle without one
    assert oracle is not None  # the oracle evaluates this study
    unbilled = unbilled or UnbilledUsage()
    answers = Answers(live.study.probe_answers)
    try:
        if live.study.untouched and not live.study.probed:
            live.start()
            _probe(live, request, unbilled, answers)
            answers = Answers()
        evaluator = _evaluator(live, generator, oracle)
        if live.study.untouched and live.study.natural is None and request.spec.baseline:
            live.start()
            _compare(live, request, evaluator, unbilled)
            evaluator = _evaluator(live, generator, oracle)
    except QuotaExceeded as error:
        live.suspend(error.message, StopReason.BUDGET, _packed(answers))
        return None
    return evaluator


def _packed(answers: Answers) -> ArrayData | None:
    return None if answers.rows is None else ArrayData.of(answers.rows)


def _evaluator(live: LiveStudy, generator: Generator, oracle: Oracle) -> LocalEvaluator:
    study = live.study
    return LocalEvaluator(
        generator,
        oracle,
        tuple(target.objective for target in study.targets),
        study.created.batch_size,
        tuple(target.criterion for target in study.targets if target.criterion is not None),
    )


def _probe(live: LiveStudy, request: Request, unbilled: UnbilledUsage, answers: Answers) -> None:
    generator, oracle, study = request.generator, request.oracle, live.study
    assert generator is not None
    assert oracle is not None
    if study.created.noisy:  # the oracle declares itself not deterministic
        return
    units = list(dict.fromkeys(units_of([target.layout for target in study.targets])))
    with billed(live, unbilled, Purpose.PROBE, billable=oracle.billable) as meter:
        try:
            seed, device = study.spec.seed, str(request.device)
            found = probed(oracle, generator, units, seed, device, answers)
        except QuotaExceeded:
            meter.keep(meter.total)  # the answers are journalled when the study is paused
            raise
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


def _compare(
    live: LiveStudy, request: Request, evaluator: LocalEvaluator, unbilled: UnbilledUsage
) -> None:
    """Observes the natural images of the baseline, once for all targets."""
    baseline, images, study = request.spec.baseline, request.images, live.study
    assert baseline is not None
    assert images is not None  # checked when the study was created
    stimuli = natural_stimuli(baseline, images, study.created.stimulus_shape).to(request.device)
    size = study.created.batch_size
    if size > 1:  # at 1, an answer depends on the other stimuli in its batch
        size = fixed_batch_size(len(stimuli), evaluator.oracle.describe().batch_size)
    with billed(live, unbilled, Purpose.BASELINE, billable=evaluator.billable) as meter:
        quantities, values = evaluator.observe(stimuli, size)
    spent, unbilled.total = unbilled.total + meter.total.marked(Purpose.BASELINE), Accounting()
    scores = study.scorer.score_given(study.targets, quantities, values)
    digest = checksum(stimuli.cpu().numpy()).hex()
    measured = BaselineMeasured(digest, quantities, ArrayData.of(values), None, spent)
    if baseline.start and study.created.start is None:
        measured = _started(
            live,
            request,
            measured,
            encoded_start(evaluator.generator, live.search.space, stimuli, scores),
        )
    live.settle(measured)
    if np.isnan(values).all():
        raise OracleFailed(
            f"all {len(values)} natural images of the baseline failed; check the model on one "
            "image first"
        )


def _started(
    live: LiveStudy, request: Request, measured: BaselineMeasured, start: ArrayData | None
) -> BaselineMeasured:
    """`measured` with the start, and with the optimizer that is chosen for it; without a change if
    there is none, or if the optimizer cannot begin there.
    """
    created = live.study.created
    found = Probed(Repeats.NEVER if created.noisy else Repeats.ALWAYS)
    settled = settle(request, live.search.space, found, started=True)
    if start is None or not live.search.begins_at(settled.optimizer, live.study, start):
        return measured
    return msgspec.structs.replace(
        measured,
        start=start,
        optimizer=settled.spec,
        population=settled.population,
        batch_size=1 if created.batch_size == 1 else settled.batch_size,
    )
