"""Parts of an attack with tiles from coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.planning import Inputs
from blackbox_am.attacks.problem import Problem
from blackbox_am.core.spec import ArrayData, StartSpec
from blackbox_am.errors import InvalidInput


@dataclass(frozen=True)
class Stage:
    """A part of an attack with one number of tiles; a whole attack if it has no tiles.

    Attributes:
        problem: with at most one number of tiles, and the budget of this part.
        coarser: the number of tiles of the part before, at whose best changes this part begins; 0
            if this is the first part.
    """

    problem: Problem
    coarser: int = 0


def stages_of(problem: Problem, inputs: Inputs) -> list[Stage]:
    """The parts of an attack, in order.

    Raises:
        InvalidInput: for inputs without tiles, or more tiles than an input is wide.
    """
    if not problem.tiles:
        return [Stage(problem)]
    if len(inputs.shape) != 3:
        raise InvalidInput(
            f"tiles: expected images (channels, height, width), got inputs of shape {inputs.shape}",
            field="tiles",
        )
    side = min(inputs.shape[1:])
    if problem.tiles[-1] > side:
        raise InvalidInput(
            f"tiles: an input has {side} pixels in its shorter direction, so at most {side} tiles, "
            f"got {problem.tiles[-1]}",
            field="tiles",
        )
    count = len(problem.tiles)
    shares = [problem.budget // count] * count
    shares[-1] += problem.budget - sum(shares)
    return [
        Stage(replace(problem, tiles=(size,), budget=share), before)
        for size, share, before in zip(problem.tiles, shares, (0, *problem.tiles[:-1]), strict=True)
    ]


def start_of(
    stage: Stage,
    inputs: Inputs,
    rows: Sequence[int],
    latents: Mapping[int, NDArray[np.generic]],
) -> StartSpec | None:
    """The best latents of the part before, on the finer grid; None for a first part.

    Args:
        stage: the part.
        inputs: all inputs.
        rows: positions of the inputs that this part attacks.
        latents: the best latent of the part before for each of these positions.
    """
    if not stage.coarser:
        return None
    (size,) = stage.problem.tiles
    finer = [refined(latents[row], inputs.shape, stage.coarser, size) for row in rows]
    return StartSpec(latents=ArrayData.of(np.stack(finer)))


def refined(
    latent: NDArray[np.generic], shape: tuple[int, ...], coarse: int, fine: int
) -> NDArray[np.float32]:
    """A latent of stripes and `fine` x `fine` tiles for one of `coarse` x `coarse` tiles.

    Each fine tile has the value of the coarse tile at its middle; the stripes are the same.

    Args:
        latent: (channels * width + channels * coarse^2,), as of `perturbation` with ``basis =
            "stripes"``.
        shape: of an input.
        coarse, fine: numbers of tiles in each direction.
    """
    channels, _, width = shape
    values = latent.astype(np.float32)
    stripes, tiles = np.split(values, [channels * width])
    nearest = ((np.arange(fine) + 0.5) * coarse / fine).astype(np.int64)
    grid = tiles.reshape(channels, coarse, coarse)[:, nearest][:, :, nearest]
    found: NDArray[np.float32] = np.concatenate([stripes, grid.reshape(-1)])
    return found
