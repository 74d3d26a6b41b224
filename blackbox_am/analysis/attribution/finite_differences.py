"""Local sensitivity: central differences of the activation for each cell of the stimulus.

The black-box form of saliency (Simonyan, Vedaldi, Zisserman, 2013). Two step sizes expose what one
hides: where the two differ by more than their noise, the activation is not linear at this scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.cells import Cells
from blackbox_am.analysis.results import TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit


def finite_differences(
    oracle: Oracle,
    unit: str | Unit,
    stimulus: Any,
    *,
    cells: Any = 8,
    step: float = 0.05,
    repeats: int = 1,
) -> AttributionMap:
    """The slope of a unit's activation along each cell of the stimulus.

    All numbers of a cell, in all channels, move together by +h and by -h. The slope is half the
    difference of the activations divided by h, for h = `step` and h = 2 `step`.

    Args:
        oracle: any oracle.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        cells: cells in each direction, or labels (*places) such as superpixels.
        step: the smaller of the two steps; stimuli are in [0, 1].
        repeats: measurements of each changed stimulus, for a noisy oracle.

    Returns:
        The map for the smaller step. `more` has, for each cell: `slopes` (2, cells) for both steps,
        `standard_errors` (2, cells), nan for one repeat, and `labels` (*places).

    Raises:
        InvalidSpec: for a step outside (0, 0.5], or no repeat.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    check(0 < step <= 0.5, "step", "a number above 0, at most 0.5", step)
    check(repeats >= 1, "repeats", "1 or more", repeats)
    subject = Subject(oracle, [unit], method="finite_differences")
    shown = subject.stimulus(stimulus)
    parts = Cells.of(tuple(shown.shape), cells)
    steps = (step, 2 * step)
    changes = torch.tensor([sign * h for h in steps for sign in (1, -1)])
    count = parts.count * len(changes)
    base = subject.measure(shown[None])[0, 0]

    def make(start: int, stop: int) -> torch.Tensor:
        rows = torch.arange(start, stop) % count
        moves = torch.zeros(len(rows), parts.count)
        moves[torch.arange(len(rows)), rows // len(changes)] = changes[rows % len(changes)]
        return (shown + parts.masks(moves)).clamp(0, 1)

    scores = subject.measure_made(count * repeats, make)[:, 0]
    scores = scores.reshape(repeats, parts.count, len(steps), 2)
    each = (scores[..., 0] - scores[..., 1]) / (2 * np.array(steps))
    slopes = each.mean(0).T
    errors = (
        each.std(0, ddof=1).T / np.sqrt(repeats) if repeats > 1 else np.full_like(slopes, np.nan)
    )
    return AttributionMap.of(
        subject,
        shown,
        float(base),
        parts.spread(slopes[0]),
        f"slope of the activation along the cell, step {step:g}",
        parameters={"cells": parts.count, "step": steps, "repeats": repeats},
        notes=_notes(shown, parts, steps, slopes, errors),
        more={"slopes": slopes, "standard_errors": errors, "labels": parts.labels},
        numbers=(_table(steps, slopes, errors),),
    )


def _notes(
    shown: torch.Tensor,
    parts: Cells,
    steps: tuple[float, float],
    slopes: FloatArray,
    errors: FloatArray,
) -> tuple[str, ...]:
    notes = []
    cut = ((shown < steps[1]) | (shown > 1 - steps[1])).numpy()
    places = cut.reshape(-1, *parts.labels.shape).any(0)
    cells = len(np.unique(parts.labels[places]))
    if cells:
        notes.append(
            f"{cells:,} of {parts.count:,} cells have values nearer to 0 or 1 than the larger "
            "step: their change is cut there, and their slope is too small."
        )
    scale = np.abs(slopes[0]).max()
    differs = np.abs(slopes[0] - slopes[1])
    noise = np.nan_to_num(np.sqrt((errors**2).sum(0)))
    bent = int((differs > np.maximum(0.1 * scale, 2 * noise)).sum())
    if bent:
        notes.append(
            f"For {bent:,} of {parts.count:,} cells the slopes of the two steps differ by more "
            "than 10 % of the largest slope and twice their standard error: the activation is not "
            "linear at this scale."
        )
    return tuple(notes)


def _table(steps: tuple[float, float], slopes: FloatArray, errors: FloatArray) -> TableOfNumbers:
    order = np.argsort(-np.abs(slopes[0]))[:20]
    rows = [
        (f"cell {cell}", slopes[0, cell], errors[0, cell], slopes[1, cell], errors[1, cell])
        for cell in order
    ]
    head = [f"{what} {h:g}" for h in steps for what in ("slope, step", "standard error, step")]
    return TableOfNumbers("The 20 steepest cells", ("cell", *head), rows)
