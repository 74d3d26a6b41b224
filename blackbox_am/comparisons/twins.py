"""Units of a second network that answer to natural images like given units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.comparisons.answering import Stimuli, answers, units_of
from blackbox_am.comparisons.results import FloatArray
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit

LEAST_IMAGES = 3
"""Two images correlate perfectly whatever the units are."""


@dataclass(frozen=True)
class Twin:
    """The unit of the second network that answers to natural images most like a given unit.

    Attributes:
        unit: the twin.
        correlation: Pearson's correlation of the two over natural images, -1 to 1.
    """

    unit: Unit
    correlation: float


def find_twins(second: Oracle, natural: Stimuli, scores: FloatArray) -> list[Twin | None]:
    """The twin of each given unit among all units of the second network: the unit with the greatest
    absolute correlation over the natural images.

    Every layer is read, each unit reduced over its positions. One pass over the images collects the
    sums from which all correlations follow; the activations are not kept.

    Args:
        second: the second network.
        natural: (N, *stimulus) natural images in [0, 1].
        scores: (K, N) scores of the given units for these images; nan for an image without a score.

    Returns:
        K twins; None for a unit that has fewer than three scores or the same score for all images.
    """
    units = [unit for layer in second.describe().layers for unit in units_of(layer)]
    given = torch.from_numpy(np.asarray(scores, np.float64)).T
    sums = _Sums(len(units), given.shape[1])
    start = 0
    for part in answers(second, natural, units):
        sums.add(part, given[start : start + len(part)])
        start += len(part)
    found = sums.correlations()
    best = found.abs().nan_to_num(nan=-1.0).argmax(dim=0)
    return [
        None if torch.isnan(column[place]) else Twin(units[place], float(column[place]))
        for column, place in zip(found.T, best.tolist(), strict=True)
    ]


class _Sums:
    """The sums of products from which the correlations of U units with K units follow.

    Numbers are taken from a value near the mean, that of the first image, so that the sums do not
    cancel.
    """

    def __init__(self, units: int, given: int) -> None:
        self._totals = torch.zeros(6, units, given, dtype=torch.float64)
        self._centres: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add activations x (rows, U) and y (rows, K); a number that is not finite is left out."""
        known_x, known_y = x.isfinite(), y.isfinite()
        if self._centres is None:
            self._centres = x[0].nan_to_num(0, 0, 0), y[0].nan_to_num(0, 0, 0)
        x = torch.where(known_x, x - self._centres[0], 0.0)
        y = torch.where(known_y, y - self._centres[1], 0.0)
        one_x, one_y = known_x.double(), known_y.double()
        pairs = ((one_x, one_y), (x, one_y), (one_x, y), (x * x, one_y), (one_x, y * y), (x, y))
        for total, (left, right) in zip(self._totals, pairs, strict=True):
            total += left.T @ right

    def correlations(self) -> torch.Tensor:
        """(U, K): nan where a unit is constant or has fewer than `LEAST_IMAGES` images."""
        count, x, y, xx, yy, xy = self._totals
        n = torch.where(count >= LEAST_IMAGES, count, torch.nan)
        spread_x, spread_y = xx - x * x / n, yy - y * y / n
        # What rounding leaves of a constant unit is no spread.
        varies = (spread_x > 1e-12 * xx) & (spread_y > 1e-12 * yy)
        found = (xy - x * y / n) / torch.sqrt(torch.where(varies, spread_x * spread_y, torch.nan))
        bounded: torch.Tensor = found.clamp(-1.0, 1.0)
        return bounded


def transfer(twin: Twin, natural: NDArray[np.float64], stimulus: float) -> float:
    """Fraction of natural images to which the twin answers less than to a stimulus; more, if its
    correlation is negative.

    Args:
        twin: the twin.
        natural: (N,) its activations for natural images; values that are not finite are left out.
        stimulus: its activation for the stimulus.

    Returns:
        0 to 1; nan for a stimulus without an activation, and without natural images.
    """
    sign = -1.0 if twin.correlation < 0 else 1.0
    known = natural[np.isfinite(natural)]
    if np.isnan(stimulus) or not known.size:
        return float("nan")
    return float((sign * known < sign * stimulus).mean())
