"""Natural images that a search of the benchmarks measures first.

They are encoded by the generator's encoder and rendered again. All of them count as queries of
each unit, and each unit's search starts at the latent of its best one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.bench.problems import Problem
from blackbox_am.core.rng import position_seed
from blackbox_am.errors import InvalidInput

PARAMETER = "naturals"
"""Name of the number of images in the label of a search: `pixel_ridge,naturals=50`."""


@dataclass(frozen=True)
class Measured:
    """Natural images, measured.

    Attributes:
        start: (K, D) latent of the best image of each target.
        best: (images, K) float64 activation over natural maximum of the best of the first images.
    """

    start: NDArray[np.float32]
    best: NDArray[np.float64]


def without(parameters: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The parameters of an optimizer without the number of natural images, and this number.

    Raises:
        InvalidInput: if it is not a whole number from 0.
    """
    rest = {name: value for name, value in parameters.items() if name != PARAMETER}
    count = parameters.get(PARAMETER, 0)
    if not isinstance(count, int) or count < 0:
        raise InvalidInput(f"{PARAMETER}: expected a whole number from 0, got {count!r}")
    return rest, count


def measure(problem: Problem, seeds: int, count: int) -> Measured:
    """Measures `count` natural images, other ones for each seed.

    Args:
        problem: the units; target k is unit k // seeds.
        seeds: searches of each unit.
        count: number of images.

    Raises:
        InvalidInput: if the generator has no encoder or there are fewer images.
    """
    if not problem.generator.encodes:
        raise InvalidInput(f"{PARAMETER}: the generator of {problem.name} has no encoder")
    if count > len(problem.images):
        raise InvalidInput(
            f"{PARAMETER}: {problem.name} has {len(problem.images)} natural images, got {count}"
        )
    found = [_measured(problem, seed, count) for seed in range(seeds)]
    # Targets are units x seeds, so the axis of seeds is the last.
    starts = np.stack([start for start, _ in found], 1)
    best = np.stack([best for _, best in found], 2)
    return Measured(starts.reshape(-1, starts.shape[-1]), best.reshape(count, -1))


def _measured(
    problem: Problem, seed: int, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(units, D) starts and (count, units) best activations of one seed."""
    draw = torch.Generator().manual_seed(position_seed(seed, PARAMETER, 0, 0))
    images = problem.images[torch.randperm(len(problem.images), generator=draw)[:count]]
    with torch.no_grad():
        latents = problem.generator.encode(images)
        answers = problem.oracle.observe(problem.generator.render(latents), problem.units)
    shares = problem.relative(answers)
    return latents[shares.argmax(0)].numpy(), shares.cummax(0).values.numpy()
