"""Small changes of given inputs, for adversarial searches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import bounded, check_latent_shape
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators.data.series import cosines
from blackbox_am.generators.inputs._input_neighbourhood import InputNeighbourhood

BALLS = ("linf", "l2", "l0")
BASES = ("pixels", "tiles", "stripes", "dct")
STRIPE_DEVIATION = 4.0
TILE_DEVIATION = 2.0
"""Deviations of the two parts of `stripes`.

Measured with `sep_cma` on a ResNet-20 for CIFAR-10, L-inf 8/255. 16 x 16 tiles of deviation 1 alone
need a median of 151 queries (60 images, budget 600). Stripes of deviation 4 with 16 x 16 tiles of
deviation 1 and 2 need 10 and 15, and fool .983 and all of the images (the same 60 images, with two
seeds, budget 1,500); stripes alone need 9 and fool .983.
"""


@dataclass(frozen=True)
class Perturbation(InputNeighbourhood):
    """Inputs x changed within a ball: ``clip(x + d(z))`` for a latent z of the prior N(0, I).

    A latent is spread over the input, U(z), with deviation 1 in each value: as it is
    (`pixels`), by nearest upsampling of a size x size grid (`tiles`), or as the lowest size x
    size frequencies of each channel (`dct`). `stripes` adds a number for each column and channel,
    of deviation 4, and tiles of deviation 2: most values are then near the edge of the ball, and
    columns have mostly one sign, to which networks for images are sensitive (Andriushchenko et
    al., "Square Attack", ECCV 2020, begin so). The result is then mapped into the ball:

    ``linf``  d = radius * tanh(U(z)): every value changes by at most the radius
              (Meunier, Atif and Teytaud, "Yet another but more efficient black-box
              adversarial attack", 2019, with the tiles)
    ``l2``    d = radius * tanh(|U(z)| / sqrt(n)) * U(z) / |U(z)| for n values in all: at most
              the radius in Euclidean norm, and 0.76 of it for a usual random latent
    ``l0``    at most `radius` places (pixels, with all their channels; samples; columns)
              change: the places where z is largest, in Euclidean norm over the channels. At
              these places x becomes sigmoid(2 z), near a corner of the colour cube for large z.
              Gradients pass through the values at the places, not through the choice of the
              places.

    If `squash` is false, the latent is the change itself, in units of the ball, as attacks need
    that place every value: the space is the box [-1, 1], and a latent of zeros is the input.

    ``linf``  d = radius * U(z)
    ``l2``    d = radius * U(z) / max(1, |U(z)|)
    ``l0``    the places of z that are not zero, at most `radius` of them, the largest first,
              become (z + 1) / 2

    All stimuli lie in the ball exactly, in float32: the radius is shortened by the largest
    rounding error, some 10^-7. With `bits`, all values of a stimulus are k / (2^bits - 1) for whole
    k, rounded inside the ball, so that an oracle that takes pictures of 8 bits sees what was
    searched. The inputs must be such values too. Gradients pass the rounding unchanged.

    `render`, which takes no targets, works around the first input.

    Attributes:
        ball: one of the three.
        radius: in units of a stimulus, such as 8/255; for `l0` a number of places.
        basis: one of the four. `l0` takes `pixels` only.
        size: tiles, or frequencies, in each direction; no more than the input is wide.
        squash: whether latents of a normal prior are squashed into the ball, or latents of a box
            are the change itself.
        bits: bits of the values of a stimulus, 1 to 16; 0 leaves them real numbers.

    Raises:
        InvalidSpec: for numbers out of range, or that do not fit together.
    """

    kind: ClassVar[str] = "perturbation"
    study_parameters: ClassVar[frozenset[str]] = frozenset(
        {"ball", "radius", "basis", "size", "squash", "bits", "channels_last", "rows"}
    )

    ball: Literal["linf", "l2", "l0"] = "linf"
    radius: float = 8 / 255
    basis: Literal["pixels", "tiles", "stripes", "dct"] = "pixels"
    size: int = 8
    squash: bool = True
    bits: int = 0

    def __post_init__(self) -> None:
        check(self.ball in BALLS, "ball", ", ".join(BALLS), self.ball)
        check(self.basis in BASES, "basis", ", ".join(BASES), self.basis)
        check(self.size >= 1, "size", "1 or more", self.size)
        check(0 <= self.bits <= 16, "bits", "0 to 16", self.bits)
        if self.ball == "l0":
            whole = self.radius == int(self.radius) and self.radius >= 1
            check(whole, "radius", "for l0 a number of places, 1 or more", self.radius)
            check(self.basis == "pixels", "basis", "pixels for l0", self.basis)
        elif self.ball == "linf":
            check(1e-5 <= self.radius <= 1, "radius", "for linf 0.00001 to 1", self.radius)
        else:
            check(1e-3 <= self.radius < math.inf, "radius", "for l2 0.001 or more", self.radius)

    @property
    def space(self) -> Space:
        """Normal, or a box if the latent is the change itself. The latent has an image shape if the
        input is an image, unless the basis is `stripes`.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: if the file contains no stimuli, or stimuli that do not fit the basis or
                the ball.
        """
        shape = self._latent_shape
        image_shape = shape if len(shape) == 3 else ()
        if self.squash:
            return build_space(SpaceSpec("normal", math.prod(shape), image_shape=image_shape))
        return build_space(
            SpaceSpec("box", math.prod(shape), image_shape=image_shape, low=(-1.0,), high=(1.0,))
        )

    @property
    def differentiable(self) -> bool:
        return True

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        clean = self.mine(targets, self._clean_on, latents.device)
        shaped = latents.to(torch.float32).reshape(-1, *self._latent_shape)
        if self.ball == "l0":
            stimuli = self._replaced(clean, shaped)
        else:
            change = self._spread(shaped)
            within = self._within_linf(change) if self.ball == "linf" else self._within_l2(change)
            stimuli = bounded(clean + within)
        return self._rounded(stimuli, clean) if self.bits else stimuli

    def latent_limits(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Limits if the latent is the change of each value itself, in units of a ball of values."""
        if self.squash or self.basis != "pixels" or self.ball == "l0":
            return None
        clean = self.mine(targets, self._clean_on, targets.device).flatten(1)
        return (-clean / self.radius).clamp(min=-1), ((1 - clean) / self.radius).clamp(max=1)

    @property
    def latent_step(self) -> float:
        if not self.bits or self.squash or self.basis != "pixels" or self.ball != "linf":
            return 0.0
        steps: int = 2**self.bits - 1
        return 1 / (steps * self.radius)

    def _spread(self, shaped: torch.Tensor) -> torch.Tensor:
        """U(z), (N, *stimulus), for latents (N, *latent)."""
        if self.basis == "stripes":
            channels, _, width = self.stimulus_shape
            stripes = shaped[:, : channels * width].reshape(-1, channels, 1, width)
            tiles = shaped[:, channels * width :].reshape(-1, channels, self.size, self.size)
            shaped = STRIPE_DEVIATION * stripes + TILE_DEVIATION * self._upsampled(tiles)
        elif self.basis == "tiles":
            shaped = self._upsampled(shaped)
        elif self.basis == "dct":
            rows, columns = self._places.on(shaped.device)
            shaped = rows @ shaped @ columns.T
        return shaped

    def _upsampled(self, tiles: torch.Tensor) -> torch.Tensor:
        rows, columns = self._places.on(tiles.device)
        upsampled: torch.Tensor = tiles[..., rows, :][..., columns]
        return upsampled

    def _within_linf(self, change: torch.Tensor) -> torch.Tensor:
        # Rounding adds half a unit in the last place of numbers up to 1, 2^-25, and less
        # than 2^-24 of the change.
        within = (self.radius - 2**-24) / (1 + 2**-22)
        return within * (change.tanh() if self.squash else change.clamp(-1, 1))

    def _within_l2(self, change: torch.Tensor) -> torch.Tensor:
        flat = change.flatten(1)
        values = flat.shape[1]
        # In float64: in float32, a sum of very many or very large squares is inexact.
        norms = flat.double().norm(dim=1, keepdim=True).clamp_min(1e-30)
        within = (self.radius - values**0.5 * 2**-24) / (1 + 2**-20)
        used = torch.tanh(norms / values**0.5) if self.squash else norms.clamp(max=1)
        short: torch.Tensor = (flat * (within * used / norms)).float().reshape(change.shape)
        return short

    def _replaced(self, clean: torch.Tensor, shaped: torch.Tensor) -> torch.Tensor:
        """`clean` with new values where the latents are largest."""
        places = (shaped.norm(dim=1) if shaped.ndim > 2 else shaped.abs()).flatten(1)
        chosen = places.detach().topk(min(int(self.radius), places.shape[1]), dim=1).indices
        mask = torch.zeros_like(places).scatter(1, chosen, 1.0)
        if not self.squash:
            mask = mask * (places > 0)
        shape = (len(shaped), 1, *shaped.shape[2:]) if shaped.ndim > 2 else shaped.shape
        values = torch.sigmoid(2 * shaped) if self.squash else (shaped.clamp(-1, 1) + 1) / 2
        replaced: torch.Tensor = torch.where(mask.reshape(shape).bool(), values, clean)
        return replaced

    def _rounded(self, stimuli: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """Stimuli of whole steps of 1 / (2^bits - 1), in the ball around inputs of whole steps."""
        steps = 2**self.bits - 1
        base = (clean.detach() * steps).round()
        change = stimuli.detach() * steps - base
        rounded = change.round()
        if self.ball == "linf":
            most = math.floor(self.radius * steps * (1 + 1e-9))
            rounded = rounded.clamp(-most, most)
        elif self.ball == "l2":
            rounded = _rounded_within(change, self.radius * steps * (1 - 1e-6))
        whole = (base + rounded).clamp(0, steps) / steps
        # The gradient is that of the unrounded stimuli.
        rounded_on: torch.Tensor = stimuli + (whole - stimuli.detach())
        return rounded_on if stimuli.requires_grad else whole

    @cached_property
    def _latent_shape(self) -> tuple[int, ...]:
        shape = self.stimulus_shape
        self._check_steps()
        if self.ball == "l2":
            values = math.prod(shape)
            least = 4 * values**0.5 * 2**-24
            check(
                self.radius > least, "radius", f"above {least:g} for {values} values", self.radius
            )
        if self.ball == "l0":
            places = math.prod(shape[1:] or shape)
            check(self.radius <= places, "radius", f"{places} places at most", self.radius)
        if self.basis == "pixels":
            return shape
        if len(shape) != 3 or self.size > min(shape[1:]):
            raise InvalidSpec(
                f"size: {self.basis} of {self.size} x {self.size} are for images (channels, "
                f"height, width) at least as large, got inputs of shape {shape}",
                field="size",
            )
        if self.basis == "stripes":
            return (shape[0] * (shape[2] + self.size**2),)
        return (shape[0], self.size, self.size)

    @cached_property
    def _places(self) -> Constants:
        """For tiles, the tile of each row and of each column; for frequencies, the waves."""
        height, width = self.stimulus_shape[1:]
        if self.basis != "dct":
            return Constants(
                lambda: tuple(torch.arange(n) * self.size // n for n in (height, width))
            )
        return Constants(
            lambda: tuple(
                (cosines(n)[:, : self.size] * (n / self.size) ** 0.5).float()
                for n in (height, width)
            )
        )

    def _check_steps(self) -> None:
        """Refuse inputs that are not whole numbers of `bits` bits, and a radius below one step."""
        if not self.bits:
            return
        steps = 2**self.bits - 1
        scaled = self._clean.astype(np.float64) * steps
        off = float(np.abs(scaled - scaled.round()).max())
        check(
            off < 1e-3, "bits", f"inputs of {self.bits} bits, k / {steps}", f"{off / steps:g} off"
        )
        least = 1.0 if self.ball == "l0" else 1 / steps
        check(
            self.radius * (1 + 1e-9) >= least,
            "radius",
            f"one step of {self.bits} bits, {least:g}, or more",
            self.radius,
        )


def _rounded_within(change: torch.Tensor, radius: float) -> torch.Tensor:
    """`change` (N, ...) rounded to whole numbers, of Euclidean norm at most `radius`.

    Rounding to the nearest may leave the ball. A row that leaves it is shortened in small steps
    before it is rounded; rounding towards zero never leaves it.
    """
    found = change.trunc()
    for part in (0.96, 0.98, 0.99, 0.995, 1.0):
        rounded = (part * change).round()
        inside = rounded.flatten(1).double().norm(dim=1) <= radius
        found = torch.where(inside.reshape(-1, *(1,) * (change.ndim - 1)), rounded, found)
    return found
