"""Global sensitivity of a unit to the inputs of its model, such as the features of a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch

from blackbox_am.analysis.sensitivity.indices import design, indices
from blackbox_am.analysis.sensitivity.result import SobolAnalysis
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec

MOST_INPUTS = 4096


def sobol(
    oracle: Oracle,
    unit: str | Unit,
    *,
    names: Sequence[str] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    groups: Sequence[str] | None = None,
    samples: int = 512,
    seed: int = 0,
) -> SobolAnalysis:
    """Sobol indices of every number of a stimulus.

    Inputs are independent and uniform between `low` and `high`. For an oracle of a `Table`, a
    stimulus of 0 is a feature's lowest value and 1 its highest.

    Args:
        oracle: any oracle; its stimuli are usually rows of a table (D,).
        unit: the unit's address.
        names: of the D inputs; `x1`, `x2`, ... if None.
        low, high: range of each input inside [0, 1]; the whole range if None.
        groups: the group of each input, for indices of groups.
        samples: N, a power of 2; N * (inputs or groups + 2) queries.
        seed: of the samples and the bootstrap.

    Raises:
        InvalidSpec: for arguments that do not fit, or a stimulus of more than 4,096 numbers: use
            `sobol_cells` for images.
        MissingExtra: without SALib.
        UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject(oracle, [unit], method="sobol")
    shape = subject.info.stimulus_shape
    inputs = prod(shape)
    if inputs > MOST_INPUTS:
        raise InvalidSpec(
            f"sobol: a stimulus of shape {shape} has {inputs:,} inputs; use sobol_cells, which "
            "takes cells of an image, or sobol_latents",
            field="oracle",
        )
    known = checked_names(names, inputs, "x")
    plan = design(known, samples, seed, groups)
    start, scale = _ranges(low, high, inputs)

    def make(first: int, last: int) -> torch.Tensor:
        rows = start + plan.rows[first:last] * scale
        return torch.from_numpy(rows).float().reshape(-1, *shape).clamp(0, 1)

    found = indices(plan, subject.measure_made(len(plan.rows), make)[:, 0], seed)
    return SobolAnalysis(
        method="sobol",
        subject=str(subject.units[0]),
        model=subject.name,
        parameters={"samples": samples, "inputs": inputs, "seed": seed},
        spent=subject.spent,
        notes=found.notes,
        indices=found,
    )


def checked_names(names: Sequence[str] | None, inputs: int, letter: str) -> tuple[str, ...]:
    """The names of inputs, or `letter` with their numbers from 1.

    Raises:
        InvalidSpec: for another number of names.
    """
    if names is None:
        return tuple(f"{letter}{number}" for number in range(1, inputs + 1))
    if len(names) != inputs:
        raise InvalidSpec(
            f"names: expected one for each of {inputs:,} inputs, got {len(names):,}", field="names"
        )
    return tuple(names)


def _ranges(
    low: Sequence[float] | None, high: Sequence[float] | None, inputs: int
) -> tuple[FloatArray, FloatArray]:
    """The lowest value and the width of each input."""
    found = []
    for field, given, default in (("low", low, 0.0), ("high", high, 1.0)):
        values = np.full(inputs, default) if given is None else np.asarray(given, np.float64)
        if values.shape != (inputs,) or not ((values >= 0) & (values <= 1)).all():
            raise InvalidSpec(
                f"{field}: expected {inputs:,} numbers in [0, 1], as stimuli are, got {given!r}",
                field=field,
            )
        found.append(values)
    start, end = found
    if not (start < end).all():
        raise InvalidSpec("low, high: expected low < high for each input", field="low")
    return start, end - start
