"""How well generators reproduce natural images from the latents that their encoders find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from blackbox_am.bench.problems import Problem
from blackbox_am.bench.sheets import Sheet
from blackbox_am.fitting.cards import decibels, reproduced

BATCH = 100


@dataclass(frozen=True)
class Encoding:
    """Quality of a generator's encoder.

    Attributes:
        name: name of the generator.
        dimension: latent dimension D.
        decibels: peak signal-to-noise ratio of natural images that are encoded and rendered, from
            the mean squared error over all images.
        baseline: the same, with each image replaced by the mean image.
        kept: (units,) activation of the image with the largest activation of each unit, encoded and
            rendered, over its activation before.
    """

    name: str
    dimension: int
    decibels: float
    baseline: float
    kept: tuple[float, ...]


def measure(name: str, problem: Problem) -> Encoding:
    """Encodes and renders the natural images of a problem.

    Raises:
        CapabilityMissing: if the generator has no encoder.
    """
    images, generator = problem.images, problem.generator
    made = reproduced(generator, images)
    error = (made - images).square().mean()
    before, after = (_observed(problem, whole) for whole in (images, made))
    best = before.argmax(0)
    units = torch.arange(len(problem.units))
    kept = after[best, units] / before[best, units]
    deviation = (images - images.mean(0)).square().mean()
    return Encoding(
        name,
        generator.space.dim,
        decibels(float(error)),
        decibels(float(deviation)),
        tuple(kept.tolist()),
    )


def _observed(problem: Problem, images: torch.Tensor) -> torch.Tensor:
    """(N, units) activations."""
    with torch.no_grad():
        parts = [problem.oracle.observe(p, problem.units) for p in torch.split(images, BATCH)]
    return torch.cat(parts)


def sheet(found: Sequence[Encoding], oracle: str) -> Sheet:
    """The table, best reproduction first."""
    rows = tuple(
        (
            one.name,
            f"{one.dimension:,}",
            f"{one.decibels:.1f}",
            f"{one.baseline:.1f}",
            "{1:.2f} [{0:.2f}, {2:.2f}]".format(*np.percentile(one.kept, [25, 50, 75])),
        )
        for one in sorted(found, key=lambda one: -one.decibels)
    )
    return Sheet(
        f"{oracle}: natural images encoded and rendered",
        ("generator", "D", "PSNR, dB", "of the mean image, dB", "activation kept"),
        rows,
        (
            (
                "Activation kept: for each unit, the activation of the natural image that excites "
                "it most, encoded and rendered, over its activation before; median [quartiles]."
            ),
        ),
    )
