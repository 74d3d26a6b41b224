"""How alike the stimuli of a method are to each other and to natural images, in features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from blackbox_am.comparisons.results import ComparisonResult, FloatArray, Run
from blackbox_am.core.rng import position_seed
from blackbox_am.evaluation import kid

LEAST_FOR_KID = 2000
"""Stimuli of a method below which the kernel inception distance is too uncertain to be shown."""
MOST_FOR_KID = 5000
"""Stimuli, and natural images, of which it is computed: the memory grows with their square."""
OF_THE_BEST = 0.9
"""Seeds whose score is at least this fraction of the best one count for the diversity."""


def diversities(
    result: ComparisonResult, runs: Sequence[Run], found: torch.Tensor
) -> dict[tuple[str, str], float]:
    """The diversity of each method and unit, see `ComparisonResult.diversity`.

    Args:
        result: the result.
        runs: its R runs that have a stimulus.
        found: (R, F) features of their stimuli.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for place, run in enumerate(runs):
        places.setdefault((run.method, run.unit), []).append(place)
    return {
        (method.name, unit.unit): _diversity(
            np.array([runs[place].score for place in mine]), found[mine]
        )
        for method in result.methods
        for unit in result.units
        if (mine := places.get((method.name, unit.unit)))
    }


def _diversity(scores: FloatArray, found: torch.Tensor) -> float:
    """Mean of 1 - cosine over the pairs of good rows; nan with fewer than two, or if the best score
    is not above 0, so that a fraction of it means nothing.
    """
    best = np.nanmax(scores, initial=-np.inf)
    good = np.flatnonzero(scores >= OF_THE_BEST * best) if best > 0 else np.empty(0, int)
    if len(good) < 2:
        return float("nan")
    cosines = torch.nn.functional.cosine_similarity(found[good][:, None], found[good][None], dim=2)
    first, other = np.triu_indices(len(good), 1)
    return float((1 - cosines[first, other]).mean())


def distances_of_methods(
    result: ComparisonResult,
    runs: Sequence[Run],
    found: torch.Tensor,
    reference: torch.Tensor,
    seed: int,
) -> dict[str, float]:
    """The kernel inception distance of each method that has `LEAST_FOR_KID` stimuli or more.

    Args:
        result: the result.
        runs: its R runs that have a stimulus.
        found: (R, F) features of their stimuli.
        reference: (N, F) features of natural images.
        seed: of the choice of rows, if there are more than `MOST_FOR_KID`.
    """
    if len(reference) < kid.LEAST_ROWS:
        return {}
    distances = {}
    for method in result.methods:
        mine = [place for place, run in enumerate(runs) if run.method == method.name]
        if len(mine) >= LEAST_FOR_KID:
            chosen = _some(found[mine], seed, method.name), _some(reference, seed, "natural")
            distances[method.name] = kid.distance(*chosen).value
    return distances


def _some(rows: torch.Tensor, seed: int, purpose: str) -> torch.Tensor:
    """At most `MOST_FOR_KID` of the rows, drawn at random without replacement."""
    if len(rows) <= MOST_FOR_KID:
        return rows
    draw = torch.Generator().manual_seed(position_seed(seed, "kid", 0, purpose))
    return rows[torch.randperm(len(rows), generator=draw)[:MOST_FOR_KID]]
