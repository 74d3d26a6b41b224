"""Searches of a latent image on a coarse grid first, then on finer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.optimizers.choosing._coarse_to_fine import CoarseToFine
from blackbox_am.optimizers.choosing._gathering import STRATEGIES
from blackbox_am.optimizers.evolution.open_es import OpenES


@dataclass(frozen=True)
class Octaves(CoarseToFine):
    """Searches a latent image on a coarse grid first, then on finer ones, each from what the last
    one has found: few numbers decide about the large shapes, and details follow.

    A latent image x (channels, height, width) is searched as x = d + E c. E enlarges an image c of
    the coarse grid bilinearly, and d is what the point at which the octave began has beyond the
    coarse grid (0 at first, unless the study has a start). At the end of an octave the centre of
    its search is put onto the next grid, and a fresh search of the inner optimizer begins there, as
    in a study that begins at given latents. In the last octave E is the identity.

    Sources: the octaves of DeepDream (A. Mordvintsev, C. Olah and M. Tyka, "Inceptionism: Going
    Deeper into Neural Networks", 2015: 4 octaves with a factor of 1.4, gradient steps on enlarged
    images) and of A. Oygard, "Visualizing GoogLeNet classes" (2015). There the network sees images
    of different sizes; here the stimulus always has the size that the model takes, and the size of
    the latent image is what grows.

    The optimizer needs a latent space that is an image, as those of `pixels`, `cifar_vae`,
    `cifar_vq` and `diffusers_vae`. Where latents are coefficients of waves, as those of `dct` and
    `fourier`, an enlargement has no meaning, and the study is refused.

    `gradient_octaves` is the same search around optimizers that follow gradients.

    Attributes:
        inner: the search inside.
        parameters: its parameters.
        octaves: number of grids, the latent image itself included.
        factor: how many times as high and wide each grid is as the last one.
        share: share of the budget that the coarse grids get, in equal parts.
        generations: generations of each coarse grid; follows from the budget if empty.
    """

    name: ClassVar[str] = "octaves"
    copies: ClassVar[int] = 7
    searches: ClassVar[Mapping[str, type[Optimizer[Any]]]] = {**STRATEGIES, "open_es": OpenES}

    inner: Literal["cma", "sep_cma", "snes", "xnes", "cholesky_cma", "open_es"] = "snes"
