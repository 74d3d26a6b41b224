"""The rows of a billable oracle, a portion of a generation at a time.

Every answer has a price, so a generation is told to its study in portions: what was answered is in
the journal when a later call fails, when the quota ends, or when the process is killed. The rows
that are in the journal are not measured again. A failure loses nothing but its own call, a crash
one portion.

Gradients are not journalled, so a generation with gradients is one portion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from blackbox_am.core.metering import Meter, metering
from blackbox_am.core.observation import Observation, failures
from blackbox_am.core.types import Accounting
from blackbox_am.errors import BlackboxError, QuotaExceeded
from blackbox_am.evaluation import Evaluator, Rows
from blackbox_am.studies.study import Study
from blackbox_am.studies.successes import Slices, joined

PORTIONS = 16
"""Largest number of portions of a generation: each is a write to the store."""


@dataclass(frozen=True)
class Portion:
    """Measured rows of a generation.

    Attributes:
        observation: of the rows.
        error: why no further row could be measured; None if nothing failed.
        lost: account of the calls that failed, which are repeated.
    """

    observation: Observation
    error: BlackboxError | None = None
    lost: Accounting = field(default_factory=Accounting)


def next_portion(study: Study, evaluator: Evaluator, rows: Rows) -> Portion:
    """Measures the next rows, at least until one of them or of the told rows has a score.

    Args:
        study: the study.
        evaluator: of a billable oracle.
        rows: the rows of the open generation that are still to be measured.

    Raises:
        BlackboxError: as `Evaluator.submit` and its future, if no row was measured.
    """
    slices, parts = Slices(study, rows), list[Observation]()
    size = study.created.batch_size or len(rows)
    most = max(size, -(-len(rows) // PORTIONS))
    scored = scored_before(study)
    while len(slices.left):
        with metering() as meter:
            try:
                part = _next(slices, evaluator, size)
            except BlackboxError as error:
                if not parts or not scored:
                    raise
                return Portion(joined(parts), error, _lost(meter))
        parts.append(part)
        scored = scored or _has_score(study, part)
        if scored and sum(len(one.targets) for one in parts) >= most:
            break
    return Portion(joined(parts))


def _next(slices: Slices, evaluator: Evaluator, size: int) -> Observation:
    """The next slice; a smaller one if the quota has fewer rows left than `size`."""
    while True:
        try:
            return slices.next(evaluator, size)
        except QuotaExceeded as error:
            if not 0 < error.rows_left < min(size, len(slices.left)):
                raise
            size = error.rows_left


def _lost(meter: Meter) -> Accounting:
    return meter.total + meter.lost()


def _has_score(study: Study, part: Observation) -> bool:
    codes = failures(part.values, part.rendered, study.scorer.own(part.targets))
    return bool((codes == 0).any())


def scored_before(study: Study) -> bool:
    """Whether a told row of the open generation has a score."""
    told, own = study.measured, study.scorer.own(np.asarray(study.active, np.int64))
    codes = failures(told.values, told.rendered, own[:, None])
    return bool((told.told & (codes == 0)).any())
