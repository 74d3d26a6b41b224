"""Scores of given stimuli under small random transformations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.chain import Chain
from blackbox_am.core.layout import layouts_of
from blackbox_am.core.metering import observed
from blackbox_am.core.objective import Objective
from blackbox_am.core.oracle import Oracle, check_answer, check_units, failures_of
from blackbox_am.core.transform import Drawn, Transform
from blackbox_am.errors import ShapeMismatch
from blackbox_am.evaluation._table import Table
from blackbox_am.evaluation.scoring import columns_of, measures_of
from blackbox_am.transforms.jitter import Jitter
from blackbox_am.transforms.rotate import Rotate
from blackbox_am.transforms.scale import Scale

DEFAULT_TRANSFORMS: tuple[Transform, ...] = (Scale(0.1), Rotate(10.0), Jitter(1 / 16))
"""The transformations of a robust activation: scaled by up to 10 %, rotated by up to 10 degrees and
shifted by up to a sixteenth of the side.
"""


def robust_scores(
    oracle: Oracle,
    stimuli: torch.Tensor,
    objectives: Sequence[Objective],
    *,
    count: int = 64,
    seed: int = 0,
    batch_size: int = 64,
    transforms: Sequence[Transform] = DEFAULT_TRANSFORMS,
) -> NDArray[np.float64]:
    """The scores of stimuli under `count` transformations, the same for every stimulus.

    Measures of the stimulus, such as `stimulus.tv`, are those of the untransformed stimulus. The
    oracle is asked for len(stimuli) x count rows, in batches of exactly `batch_size` rows unless
    it is billable; an open meter counts them.

    Args:
        oracle: the model.
        stimuli: (N, *stimulus) in [0, 1].
        objectives: N objectives; stimulus n is scored by objective n.
        count: number of transformations.
        seed: fixes the transformations. They differ from those of a study with this seed.
        batch_size: rows in a call.
        transforms: the transformations, in the order of their application. For series, those that
            only images have are left out of the default.

    Returns:
        (N, count); nan where a measurement failed.

    Raises:
        UnknownUnit, CapabilityMissing: if the oracle lacks a unit of an objective.
        ShapeMismatch: if there are not as many objectives as stimuli.
        InvalidSpec: for stimuli that have no such transformations, or an objective that reads a
            latent or compares stimuli with an input.
        OracleError: if the model fails.
    """
    if len(stimuli) != len(objectives):
        raise ShapeMismatch(
            f"objectives: expected one for each of the {len(stimuli)} stimuli, got "
            f"{len(objectives)}",
            field="objectives",
        )
    if not len(stimuli):
        return np.empty((0, count))
    shape = tuple(stimuli.shape[1:])
    chosen = tuple(transforms)
    if transforms is DEFAULT_TRANSFORMS and len(shape) == 2:
        chosen = tuple(one for one in chosen if not one.images_only)
    chain = Chain(chosen, seed, purpose="robust_scores")
    chain.check(shape)
    table = Table(tuple(objectives), layouts_of(objectives, ()))
    check_units(oracle.describe(), table.units)
    changes = [chain.draw(shape, 0, copy) for copy in range(count)]
    with torch.no_grad():
        measures = measures_of(table, stimuli)
        units = _observed(oracle, table, stimuli, changes, batch_size)
    return _scored(table, units, measures)


def _observed(
    oracle: Oracle,
    table: Table,
    stimuli: torch.Tensor,
    changes: Sequence[Drawn],
    batch_size: int,
) -> NDArray[np.float64]:
    """(N, count, U) float64: all units for every stimulus and transformation."""
    ask = partial(_asked, oracle, table)
    found = []
    for piece in torch.split(stimuli, batch_size):
        together = max(1, batch_size // len(piece))
        answers = []
        for start in range(0, len(changes), together):
            shown = torch.cat([change(piece) for change in changes[start : start + together]])
            if oracle.billable:
                answer = torch.cat([ask(rows) for rows in torch.split(shown, batch_size)])
            else:
                answer = in_fixed_batches(ask, shown, batch_size)
            answers.append(answer.reshape(len(shown) // len(piece), len(piece), answer.shape[1]))
        found.append(torch.cat(answers).transpose(0, 1))
    return torch.cat(found).cpu().numpy()


def _asked(oracle: Oracle, table: Table, rows: torch.Tensor) -> torch.Tensor:
    if not table.units:
        return torch.empty(len(rows), 0, dtype=torch.float64)
    with failures_of(len(rows)):
        answer = observed(oracle, rows, table.units)
    check_answer(answer, len(rows), len(table.units))
    return answer.to(torch.float64)


def _scored(
    table: Table, units: NDArray[np.float64], measures: NDArray[np.float64]
) -> NDArray[np.float64]:
    count = units.shape[1]
    scores = np.empty(units.shape[:2])
    for row, objective in enumerate(table.objectives):
        everything = np.concatenate([units[row], np.tile(measures[row], (count, 1))], axis=1)
        scores[row] = objective.score(everything[:, columns_of(table, objective)])
    return scores
