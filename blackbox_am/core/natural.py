"""Scores of natural images, and the place of a found score among them.

A ratio to the natural maximum means something only if this maximum is positive. The rank and the
standardised value mean something for all scores. On a noisy oracle the maximum is the best of many
noisy values and therefore too high, so that the ratio is too low rather than too high.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """The place of a target's best score among the scores of natural images.

    Attributes:
        images: number of natural images that have a score.
        best_image: number of the image with the highest score among the observed images, from 0.
        maximum, mean, standard_deviation: of the scores of the natural images. The deviation is
            that of a sample, and 0 for one image.
        rank: fraction of the natural images with a lower score, 0 to 1; None before the target has
            a score.
        standardised: (score - mean) / standard deviation; None before the target has a score, and
            if all images have the same score.
        ratio: score / maximum; None before the target has a score, and if the maximum is not above
            0.
    """

    images: int
    best_image: int
    maximum: float
    mean: float
    standard_deviation: float
    rank: float | None = None
    standardised: float | None = None
    ratio: float | None = None


def standings(natural: FloatArray, scores: ArrayLike) -> list[Standing | None]:
    """The place of the score of each target among the scores of natural images.

    Args:
        natural: (K, N) scores of N images; nan is an image without a score.
        scores: (K,), nan for a target without a score.

    Returns:
        K places; None for a target for which no image has a score.
    """
    found, known = np.asarray(scores, np.float64), ~np.isnan(natural)
    images = known.sum(axis=1)
    divisor = np.maximum(images, 1)
    filled = np.where(known, natural, -np.inf)
    best, maximum = filled.argmax(axis=1), filled.max(axis=1, initial=-np.inf)
    mean = np.where(known, natural, 0.0).sum(axis=1) / divisor
    squares = np.where(known, natural - mean[:, None], 0.0) ** 2
    deviation = np.sqrt(squares.sum(axis=1) / np.maximum(images - 1, 1))
    rank = (known & (natural < found[:, None])).sum(axis=1) / divisor
    with np.errstate(divide="ignore", invalid="ignore"):
        standardised = np.where(deviation > 0, (found - mean) / deviation, np.nan)
        ratio = np.where(maximum > 0, found / maximum, np.nan)
    rank[np.isnan(found)] = np.nan
    numbers = (images, best, maximum, mean, deviation, rank, standardised, ratio)
    rows = zip(*(column.tolist() for column in numbers), strict=True)
    return [Standing(*row[:5], *map(_or_none, row[5:])) if row[0] else None for row in rows]


def standing(natural: FloatArray, score: float | None) -> Standing | None:
    """The place of one `score` among the scores `natural` (N,); see `standings`."""
    return standings(natural[None], [np.nan if score is None else score])[0]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def in_words(found: Standing) -> str:
    """The place of a score in a few characters: `1.35 x natural max`, or, without a ratio,
    `+4.2 sd, above 100 % of natural images`; empty before the target has a score.
    """
    if found.rank is None:
        return ""
    if found.ratio is not None:
        return f"{found.ratio:.3g} x natural max"
    above = f"above {found.rank:.0%} of natural images"
    return above if found.standardised is None else f"{found.standardised:+.3g} sd, {above}"


def relative(scores: ArrayLike, natural: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Scores (..., K) of K targets on one scale, for means and medians over targets.

    The scale is the ratio to the natural maximum if all maxima are above 0. Otherwise it is the
    standardised value of all targets, so that no two scales are mixed.

    Args:
        scores: (..., K).
        natural: (K, N) scores of natural images.
    """
    found, images = np.asarray(scores, np.float64), np.asarray(natural, np.float64)
    if has_ratios(images):
        return np.asarray(found / np.nanmax(images, axis=1))
    deviation = np.nanstd(images, axis=1, ddof=1)
    return np.asarray((found - np.nanmean(images, axis=1)) / np.where(deviation, deviation, np.nan))


def has_ratios(natural: FloatArray) -> bool:
    """Whether `relative` gives ratios for scores (K, N) of natural images."""
    return bool((np.nanmax(natural, axis=1) > 0).all())
