"""Sobol indices of the cells of a stimulus: which cells the variance of the activation comes from.

Fel et al., "Look at the Variance! Efficient Black-box Explanations with Sobol-based Sensitivity
Analysis", NeurIPS 2021: each cell is shown to a random degree between hidden and whole. The value
of a cell is its total index, which has its interactions with other cells.
"""

from __future__ import annotations

from typing import Any

import torch

from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.cells import Cells
from blackbox_am.analysis.fills import filled
from blackbox_am.analysis.sensitivity.indices import design, indices
from blackbox_am.analysis.sensitivity.result import indices_table
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit


def sobol_cells(
    oracle: Oracle,
    unit: str | Unit,
    stimulus: Any,
    *,
    cells: Any = 8,
    samples: int = 32,
    fill: Any = "mean",
    seed: int = 0,
) -> AttributionMap:
    """The total Sobol index of each cell of a stimulus.

    Args:
        oracle: any oracle.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        cells: cells in each direction, or labels (*places) such as superpixels.
        samples: N, a power of 2; N * (cells + 2) queries. 32 ranks cells; intervals need more.
        fill: what stands where a cell is hidden, see `fills.filled`.
        seed: of the samples.

    Raises:
        InvalidSpec: for a number of samples that is no power of 2.
        MissingExtra: without SALib.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject(oracle, [unit], method="sobol_cells")
    shown = subject.stimulus(stimulus)
    parts, hidden = Cells.of(tuple(shown.shape), cells), filled(shown, fill)
    names = tuple(f"cell {number}" for number in range(parts.count))
    plan = design(names, samples, seed)
    degrees = torch.from_numpy(plan.rows).float()

    def make(start: int, stop: int) -> torch.Tensor:
        weights = parts.masks(degrees[start:stop])
        return weights * shown + (1 - weights) * hidden

    whole = float(subject.measure(shown[None])[0, 0])
    found = indices(plan, subject.measure_made(len(degrees), make)[:, 0], seed)
    return AttributionMap.of(
        subject,
        shown,
        whole,
        parts.spread(found.total),
        "total Sobol index of the cell",
        parameters={"cells": parts.count, "samples": samples, "seed": seed},
        notes=found.notes,
        more={
            "S1": found.first, "S1_interval": found.first_interval,
            "ST": found.total, "ST_interval": found.total_interval, "labels": parts.labels,
        },
        numbers=(indices_table(found, most=20),),
    )  # fmt: skip
