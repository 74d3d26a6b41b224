"""What keeps a search from learning from the scores of a generation, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.types import FloatArray

Bools = NDArray[np.bool_]

EDGE_STEPS = 16
"""Scores that differ by fewer float32 steps than this are considered equal up to rounding."""
NEAR_ONE = 0.99
"""A probability above this is near its ceiling: the differences of the rest are small."""
FEWEST_NEAR_ONE = 4
"""Fewest scores of which half near 1 are taken for probabilities at their ceiling."""


def warning_of(scores: FloatArray, generation: int) -> str:
    """A warning if a search cannot learn from scores, or hardly; empty if it can.

    Args:
        scores: (A, P) of the active targets, nan for rows that failed.
        generation: the number of the generation, for the message.
    """
    known = ~np.isnan(scores)
    several = known.sum(axis=1) > 1
    if not several.any():
        return ""
    return (
        _equal(scores, known, several, generation)
        or _coarse(scores, known, several, generation)
        or _near_one(scores, known, generation)
    )


def _equal(scores: FloatArray, known: Bools, several: Bools, generation: int) -> str:
    high, low = _ends(scores, known)
    equal = several & (high == low)
    if not equal.any():
        return ""
    score = float(high[equal][0])
    return (
        f"all scores of generation {generation} are equal{_of(equal)}: {score:g}; the search "
        f"learns nothing from them. {_way_out(score)}"
    )


def _coarse(scores: FloatArray, known: Bools, several: Bools, generation: int) -> str:
    """A warning if the scores are float32 numbers next to each other."""
    high, low = _ends(scores, known)
    with np.errstate(over="ignore"):  # an overflow is no float32 score
        rounded = np.where(known, scores, 0.0).astype(np.float32)
        step = np.spacing(np.abs(np.where(several, high, 1.0)).astype(np.float32))
    single = (rounded == scores) | ~known
    coarse = several & single.all(axis=1) & (high - low < EDGE_STEPS * step)
    if not coarse.any():
        return ""
    return (
        f"the scores of generation {generation} differ by less than {EDGE_STEPS} steps of "
        f"float32{_of(coarse)}, near {high[coarse][0]:g}: rounding hides differences. Answer "
        "in float64, or take a constant off the score"
    )


def _near_one(scores: FloatArray, known: Bools, generation: int) -> str:
    """A warning if the better half of the scores are numbers in [0, 1] near 1, as those of a class
    that a classifier is certain of.
    """
    high, low = _ends(scores, known)
    near = (known & (scores >= NEAR_ONE)).sum(axis=1)
    counts = known.sum(axis=1)
    full = (counts >= FEWEST_NEAR_ONE) & (2 * near >= counts) & (high <= 1) & (low >= 0)
    if not full.any():
        return ""
    return (
        f"half of the scores of generation {generation} are near 1{_of(full)}, at most "
        f"{high[full][0]:.6g}. If the score is a probability, the search is at its ceiling, where "
        "stimuli that differ much score the same: maximise the logit or the margin"
    )


def _ends(scores: FloatArray, known: Bools) -> tuple[Any, Any]:
    """The largest and the smallest score of each target."""
    high = np.where(known, scores, -np.inf).max(axis=1)
    return high, np.where(known, scores, np.inf).min(axis=1)


def _way_out(score: float) -> str:
    """What to maximise instead of units that always score `score`."""
    if score == 0:
        return (
            "If the unit is silent, maximise what moves below its threshold: the layer before a "
            "ReLU, or `.membrane` of a spiking unit, such as spiking1.membrane:3"
        )
    return (
        "If the score is a saturated probability, maximise the logit before it or the margin; else "
        "the model may answer in a precision, or a range, that hides the differences"
    )


def _of(which: Bools) -> str:
    return "" if which.all() else f" for {which.sum()} of {len(which)} targets"
