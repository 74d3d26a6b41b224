"""The end of a target at its first success, within a generation.

A generation is measured in slices of one batch each: first row 0 of every target, then row 1, and
so on. A target that has met its criterion leaves the later slices. Rows of the same slice that
stand after its success are dropped: they were measured and are accounted as surplus rows, but the
study does not know them. So the number of rows of a target, and its result, depend neither on the
size of a batch nor on the other targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.observation import Observation
from blackbox_am.core.types import Accounting
from blackbox_am.evaluation import Evaluator, Rows
from blackbox_am.studies.scoring import Bools, Measured
from blackbox_am.studies.study import Study


def observed_until_success(
    study: Study, evaluator: Evaluator, rows: Rows, *, gradients: bool
) -> Observation:
    """The observation of `rows`, of each target up to its first success.

    Args:
        study: the study, whose criteria decide.
        evaluator: measures the rows.
        rows: the wanted rows of the open generation.
        gradients: whether gradients are requested.

    Raises:
        BlackboxError: as `Evaluator.submit` and its future.
    """
    several = bool(rows.rows.max(initial=0)) and len(np.unique(rows.targets)) < len(rows)
    if study.rechecking or not study.scorer.judges or not several:
        return evaluator.submit(rows, gradients=gradients).result()
    slices = Slices(study, rows)
    return joined(list(slices.observed(evaluator, gradients=gradients)))


class Slices:
    """The rows of the open generation in slices of one batch each.

    Args:
        study: the study, whose criteria decide.
        rows: the rows to measure.

    Attributes:
        left: the rows that are still to be measured.
    """

    def __init__(self, study: Study, rows: Rows) -> None:
        self._study = study
        self._judges = study.scorer.judges and not study.rechecking
        order = np.lexsort((rows.targets, rows.rows)) if self._judges else slice(0, len(rows))
        self.left = _taken(rows, order)

    def observed(self, evaluator: Evaluator, *, gradients: bool = False) -> Iterator[Observation]:
        """The observation of each slice, up to the first success of each target.

        Raises:
            BlackboxError: as `Evaluator.submit` and its future.
        """
        while len(self.left):
            yield self.next(evaluator, self._study.created.batch_size, gradients=gradients)

    def next(self, evaluator: Evaluator, size: int, *, gradients: bool = False) -> Observation:
        """The observation of the next `size` rows.

        Raises:
            BlackboxError: as `Evaluator.submit` and its future; the rows are then still left.
        """
        part = evaluator.submit(_taken(self.left, slice(0, size)), gradients=gradients).result()
        self.left = _taken(self.left, slice(size, None))
        if not self._judges:
            return part
        met = self._study.scorer.met(part.targets, part.values, part.rendered)
        kept = _up_to_success(part, met)
        if met.any():
            goes_on = ~np.isin(self.left.targets, part.targets[met])
            self.left = _taken(self.left, np.flatnonzero(goes_on))
        surplus = Accounting(surplus_rows=int(np.count_nonzero(~kept)))
        return replace(_only(part, kept), usage=part.usage + surplus)


def missing(study: Study, wanted: Bools, measured: Measured | None = None) -> Bools:
    """(len(active), P) bool: the rows of the open generation that are still to be measured.

    Args:
        study: the study.
        wanted: (len(active), P) bool, the rows that were proposed.
        measured: measurements to consider instead of the present measurements.
    """
    measured = measured or study.measured
    missing: Bools = wanted & ~measured.told
    if study.rechecking or not study.scorer.judges or not missing.any():
        return missing
    places, rows = np.nonzero(measured.told)
    met = study.scorer.met(
        np.asarray(study.active, np.int64)[places],
        measured.values[places, rows],
        measured.rendered[places, rows],
    )
    missing[places[met]] = False
    return missing


def _taken(rows: Rows, which: NDArray[np.int64] | slice) -> Rows:
    places = which if isinstance(which, slice) else torch.from_numpy(which).to(rows.latents.device)
    return replace(
        rows, latents=rows.latents[places], targets=rows.targets[which], rows=rows.rows[which]
    )


def _up_to_success(part: Observation, met: Bools) -> Bools:
    """(R,) bool: the rows that stand before or at the first success of their target."""
    first = np.full(int(part.targets.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, part.targets[met], part.rows[met])
    kept: Bools = part.rows <= first[part.targets]
    return kept


def _only(part: Observation, kept: Bools) -> Observation:
    gradients = part.gradients
    if gradients is not None:
        gradients = gradients[torch.from_numpy(np.flatnonzero(kept)).to(gradients.device)]
    return replace(
        part,
        targets=part.targets[kept],
        rows=part.rows[kept],
        values=part.values[kept],
        rendered=part.rendered[kept],
        gradients=gradients,
    )


def joined(parts: Sequence[Observation]) -> Observation:
    """Several observations as one."""
    usage = Accounting()
    for part in parts:
        usage += part.usage
    slopes = [part.gradients for part in parts if part.gradients is not None]
    return Observation(
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.rows for part in parts]),
        parts[0].quantities,
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.rendered for part in parts]),
        usage,
        torch.cat(slopes) if slopes else None,
    )
