"""RISE: the correlation of the activation with random masks.

Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
2018, equation 6: the map is the mean of the masks weighted by the activation. Differences: what a
mask hides is filled with `fill` and not with 0; and the mean activation and the mean mask are
subtracted first, so that the map is cov(activation, mask) / var(mask): the paper's map without the
part that is the same for every unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.cells import places_of
from blackbox_am.analysis.fills import filled
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import Stream
from blackbox_am.core.units import Unit

BLOCK = 64
"""Masks that are in double precision at once."""


def rise(
    oracle: Oracle,
    unit: str | Unit,
    stimulus: Any,
    *,
    masks: int = 1000,
    cells: int = 7,
    probability: float = 0.5,
    fill: Any = "mean",
    seed: int = 0,
) -> AttributionMap:
    """The importance of each place by random masks.

    Args:
        oracle: any oracle.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        masks: number of random masks, each one query.
        cells: cells of a mask in each direction, before it is enlarged and shifted. The cells of a
            table row are its features.
        probability: of a cell to be shown.
        fill: what stands in hidden places, see `fills.filled`.
        seed: of the masks.

    Returns:
        The map; a value is the estimated rise of the activation when the place is shown.

    Raises:
        InvalidSpec: for a number out of range.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    check(masks >= 2, "masks", "2 or more", masks)
    check(cells >= 1, "cells", "1 or more", cells)
    check(0 < probability < 1, "probability", "a number between 0 and 1", probability)
    subject = Subject(oracle, [unit], method="rise")
    shown = subject.stimulus(stimulus)
    places, hidden = places_of(tuple(shown.shape)), filled(shown, fill)
    drawn = random_masks(masks, places, cells, probability, seed)

    def make(start: int, stop: int) -> torch.Tensor:
        weights = drawn[start:stop]
        extra = (1,) * (shown.ndim - len(places))
        weights = weights.reshape(len(weights), *extra, *places)
        return weights * shown + (1 - weights) * hidden

    whole = float(subject.measure(shown[None])[0, 0])
    scores = torch.from_numpy(subject.measure_made(masks, make)[:, 0])
    values = _slopes(scores - scores.mean(), drawn)
    return AttributionMap.of(
        subject,
        shown,
        whole,
        values.numpy(),
        "estimated rise of the activation when the place is shown",
        parameters={"masks": masks, "cells": cells, "probability": probability, "seed": seed},
        more={"scores": np.asarray(scores)},
    )


def _slopes(centred: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(*places) covariance of scores (N,), whose mean is 0, and masks (N, *places), over the
    variance of the masks. Blocks of masks keep the numbers of double precision few.
    """
    total, squares, products = (torch.zeros(masks.shape[1:], dtype=torch.float64) for _ in range(3))
    for scores, part in zip(*(torch.split(one, BLOCK) for one in (centred, masks)), strict=True):
        block = part.double()
        total += block.sum(0)
        squares += block.square().sum(0)
        products += (scores @ block.flatten(1)).reshape(products.shape)
    count = len(masks)
    spread = (squares / count - (total / count) ** 2).clamp_min(1e-12)
    return products / count / spread


def random_masks(
    count: int, places: tuple[int, ...], cells: int, probability: float, seed: int
) -> torch.Tensor:
    """(count, *places) float32 in [0, 1], smooth for an image and a series."""
    stream = Stream(seed, "rise", 0)
    along = [min(cells, n) for n in places]
    if along == list(places):
        return (stream.uniform(count, *places)[0] < probability).float()
    coarse = (stream.uniform(count, *(n + 1 for n in along))[0] < probability).float()
    size = [-(-n // c) * (c + 1) for n, c in zip(places, along, strict=True)]
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(places)]
    large = functional.interpolate(coarse[:, None], size, mode=mode, align_corners=False)[:, 0]
    room = [-(-n // c) for n, c in zip(places, along, strict=True)]
    shifts = torch.stack([stream.integers(n, count)[0] for n in room], 1).tolist()
    found = torch.empty(count, *places)
    for row, corner in enumerate(shifts):
        window = tuple(slice(a, a + n) for a, n in zip(corner, places, strict=True))
        found[row] = large[row][window]
    return found
