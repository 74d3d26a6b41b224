"""Global sensitivity of a unit to the latents of a generator before the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import norm

from blackbox_am.analysis.sensitivity.indices import design, indices
from blackbox_am.analysis.sensitivity.result import SobolAnalysis
from blackbox_am.analysis.sensitivity.sobol import checked_names
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.generator import Generator, check_fit
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import Unsupported

EDGE = 1e-6
"""Probability that is left out at both ends of a normal latent, whose range is infinite."""


def sobol_latents(
    oracle: Oracle,
    unit: str | Unit,
    generator: Generator,
    *,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    samples: int = 64,
    seed: int = 0,
) -> SobolAnalysis:
    """Sobol indices of the coordinates of a latent, drawn from the generator's prior.

    Args:
        oracle: any oracle of the generator's stimuli.
        unit: the unit's address.
        generator: the generator, with a normal or box latent space.
        names: of the D coordinates; `z1`, `z2`, ... if None.
        groups: the group of each coordinate.
        samples: N, a power of 2; N * (coordinates or groups + 2) queries.
        seed: of the samples and the bootstrap.

    Raises:
        Unsupported: for a latent space whose coordinates are not independent numbers.
        ShapeMismatch: if the generator's stimuli do not fit the oracle.
        MissingExtra: without SALib.
        UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject(oracle, [unit], method="sobol_latents")
    check_fit(generator, subject.info, "the generator", "the oracle")
    space = generator.space
    if space.kind not in ("normal", "box"):
        raise Unsupported(
            f"sobol_latents: Sobol indices need independent numbers, and the latent space of this "
            f"{generator.kind} generator is {space.kind}; use a generator with a normal or box "
            "space, or sobol_cells on a stimulus"
        )
    plan = design(checked_names(names, space.dim, "z"), samples, seed, groups)
    latents = _of_prior(generator, plan.rows)

    def make(start: int, stop: int) -> torch.Tensor:
        return generator.render(torch.from_numpy(latents[start:stop]).float())

    found = indices(plan, subject.measure_made(len(latents), make)[:, 0], seed)
    return SobolAnalysis(
        method="sobol_latents",
        subject=str(subject.units[0]),
        model=f"{subject.name}, {generator.kind} generator",
        parameters={"samples": samples, "coordinates": space.dim, "seed": seed},
        spent=subject.spent,
        notes=found.notes,
        indices=found,
    )


def _of_prior(generator: Generator, rows: FloatArray) -> FloatArray:
    """Latents of the prior from numbers that are uniform in [0, 1]."""
    spec = generator.space.spec
    if spec.kind == "normal":
        return np.asarray(norm.ppf(np.clip(rows, EDGE, 1 - EDGE)))
    low, high = (np.asarray(bound, np.float64) for bound in (spec.low, spec.high))
    return np.asarray(low + rows * (high - low))
