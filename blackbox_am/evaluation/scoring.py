"""Scores of given stimuli for several objectives, with each quantity measured once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.layout import layouts_of
from blackbox_am.core.measure import Rendered
from blackbox_am.core.objective import Objective
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.evaluation._table import Table
from blackbox_am.plugins import measure

FloatArray = NDArray[np.float64]


def scores_of(
    objectives: Sequence[Objective],
    stimuli: NDArray[np.float32],
    observe: Callable[[Sequence[Unit]], FloatArray],
) -> FloatArray:
    """(K, N) the scores of N stimuli for K objectives.

    Args:
        objectives: K objectives.
        stimuli: (N, *stimulus) in [0, 1].
        observe: the activations (N, U) of U units for the stimuli. It is not called without units.

    Raises:
        InvalidSpec: for an objective that reads a latent or compares stimuli with an input.
    """
    table = Table(tuple(objectives), layouts_of(objectives, ()))
    units = observe(table.units) if table.units else np.empty((len(stimuli), 0))
    values = np.concatenate([units, measures_of(table, torch.from_numpy(stimuli))], axis=1)
    return np.stack(
        [one.score(values[:, columns_of(table, one)]) for one in table.objectives]
    ).astype(np.float64)


def reads_stimuli_alone(objective: Objective) -> bool:
    """Whether `objective` reads units and measures of the stimulus, and nothing else."""
    return all(isinstance(one, Unit) or _of_stimulus(str(one)) for one in objective.reads())


def measures_of(table: Table, stimuli: torch.Tensor) -> FloatArray:
    """(N, M) float64: all measures of a table for stimuli (N, *stimulus).

    Raises:
        InvalidSpec: for a measure of a latent, or one that compares stimuli with an input.
    """
    values = [np.empty((len(stimuli), 0))]
    for name in map(str, table.measures):
        if not _of_stimulus(name):
            raise InvalidSpec(
                f"{name}: the score of a given stimulus can read units of the model and measures "
                "of the stimulus alone; leave this quantity out of the objective",
                field="targets.quantities",
            )
        known = measure(name)
        known.check(tuple(stimuli.shape[1:]))
        nothing = torch.zeros(len(stimuli), 0, device=stimuli.device)
        measured = known.measure(name, Rendered(nothing, stimuli))
        values.append(measured.double().cpu().numpy()[:, None])
    return np.concatenate(values, axis=1)


def columns_of(table: Table, objective: Objective) -> list[int]:
    """The columns of the quantities of `objective`, in a table of units first and measures then."""
    place = {one: column for column, one in enumerate((*table.units, *table.measures))}
    return [place[one] for one in objective.reads()]


def _of_stimulus(name: str) -> bool:
    return name.startswith("stimulus.") and not measure(name).compares
