"""Gradient ascents of a latent image on a coarse grid first, then on finer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.optimizers.choosing._coarse_to_fine import CoarseToFine
from blackbox_am.optimizers.gradient.adam import Adam
from blackbox_am.optimizers.gradient.nadam import Nadam
from blackbox_am.optimizers.gradient.sgd import Sgd


@dataclass(frozen=True)
class GradientOctaves(CoarseToFine):
    """Gradient ascents of a latent image on a coarse grid first, then on finer ones: `octaves`
    where gradients exist.

    A gradient g with respect to the latent image becomes E^T g, one with respect to the coarse
    image, where E enlarges the coarse image. Sources and differences are those of `octaves`.

    Attributes:
        inner: the optimizer of order 1 inside.
        parameters: its parameters.
        octaves: number of grids, the latent image itself included.
        factor: how many times as high and wide each grid is as the last one.
        share: share of the budget that the coarse grids get, in equal parts.
        generations: generations of each coarse grid; follows from the budget if empty.
    """

    name: ClassVar[str] = "gradient_octaves"
    copies: ClassVar[int] = 15
    order: ClassVar[int] = 1
    rank_based: ClassVar[bool] = False
    searches: ClassVar[Mapping[str, type[Optimizer[Any]]]] = {
        "adam": Adam,
        "nadam": Nadam,
        "sgd": Sgd,
    }

    inner: Literal["adam", "nadam", "sgd"] = "adam"
