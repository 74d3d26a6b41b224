"""Series in time: free samples, the lowest frequencies, or splines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import Generator, bounded, check_latent_shape
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._series import roughness, training_series

BASES = ("samples", "dct", "spline")
STEEPEST = 8.0
"""The largest decay: with this decay random series are almost constant."""


@dataclass(frozen=True)
class Series(Generator):
    """Series (channels, length) as linear functions of a normal latent, cut off at 0 and 1.

    A channel is mean + deviation * B x, where x are its coordinates, in one of three bases:

    ``samples``  one coordinate for each time step
    ``dct``      the lowest frequencies (DCT-II); higher frequencies cannot occur
    ``spline``   control points of a uniform cubic B-spline: twice differentiable

    Smoothness is a low-pass prior: frequency k (of the series, or of the control points)
    has a deviation in proportion to (1 + k)^-decay, and B is scaled so that a random series
    has deviation 1. In `samples` the filter is symmetric, so a coordinate still is a place in
    time. The prior only changes scales, which a search may undo at the price of unlikely latents;
    only fewer `coefficients` exclude rough series. Smoothing the rendered series would not help,
    because a search then sharpens the latents until the smoothed series is as rough as before. A
    penalty on roughness belongs to the objective: subtract the quantity `stimulus.roughness`.

    Attributes:
        channels: C.
        length: T.
        basis: one of the three.
        coefficients: coordinates a channel; all T for `samples`, at most 32 unless given.
        decay: exponent of the prior's spectrum; 0 is white noise.
        mean: of random series.
        deviation: of random series.
        match: training series, the path of a .npz, .npy or .safetensors file of (N, C, T) in
            [0, 1], in Python also an array. Then `mean` and `deviation` are computed for each of
            its channels, and `decay` is chosen so that random series have the mean squared first
            difference of the file, before clipping to [0, 1].
        array: name of the array, in a file with several arrays.

    Raises:
        InvalidSpec: for numbers out of range, or that do not fit together.
    """

    kind: ClassVar[str] = "series"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"decay", "mean", "deviation"})
    study_inputs: ClassVar[tuple[str, ...]] = ("match",)

    channels: int = 1
    length: int = 128
    basis: Literal["samples", "dct", "spline"] = "dct"
    coefficients: int | None = None
    decay: float = 1.0
    mean: float = 0.5
    deviation: float = 0.15
    match: Any = None
    array: str = ""

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise InvalidSpec(
                f"basis: expected one of {', '.join(BASES)}, got {self.basis!r}", field="basis"
            )
        check(self.channels >= 1, "channels", "1 or more", self.channels)
        check(self.length >= 2, "length", "2 or more", self.length)
        check(0 <= self.decay <= STEEPEST, "decay", f"0 to {STEEPEST:g}", self.decay)
        check(0 <= self.mean <= 1, "mean", "a number in [0, 1]", self.mean)
        check(0 < self.deviation <= 1, "deviation", "above 0, at most 1", self.deviation)
        if self.coefficients is not None:
            if self.basis == "samples":
                fits, expected = self.coefficients == self.length, f"{self.length}, the length"
            else:
                least = 4 if self.basis == "spline" else 1
                fits = least <= self.coefficients <= self.length
                expected = f"{least} to {self.length}, the length"
            check(fits, "coefficients", f"for {self.basis} {expected}", self.coefficients)
        elif self.basis == "spline" and self.length < 4:
            check(False, "length", "4 or more for splines", self.length)

    @property
    def space(self) -> Space:
        """Normal: the coordinates of one channel after those of another."""
        return build_space(SpaceSpec("normal", self.channels * self._count))

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return (self.channels, self.length)

    @property
    def chosen_decay(self) -> float:
        """`decay`, or the decay that matches the training series.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: if the file contains series of another shape, or series that are rougher
                than the basis can represent.
        """
        return self._prior[2]

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        map_, mean, deviation = self._tensors.on(latents.device)
        shaped = latents.to(torch.float32).reshape(-1, self.channels, self._count)
        return bounded(mean + deviation * (shaped @ map_))

    @property
    def _count(self) -> int:
        if self.coefficients is not None:
            return self.coefficients
        return self.length if self.basis == "samples" else min(32, self.length)

    @cached_property
    def _tensors(self) -> Constants:
        """The map (K, T), mean (C, 1) and deviation (C, 1), float32."""
        mean, deviation, decay = self._prior
        tensors = (self._map(decay).T.float(), mean[:, None].float(), deviation[:, None].float())
        return Constants(lambda: tensors)

    def _map(self, decay: float) -> torch.Tensor:
        """(T, K) float64, so that B x has mean variance 1 for x of N(0, I)."""
        count = self._count
        weights = (1 + torch.arange(count, dtype=torch.float64)) ** -decay
        if self.basis == "dct":
            columns = cosines(self.length)[:, :count] * weights
        else:
            frequencies = cosines(count)
            columns = (frequencies * weights) @ frequencies.T
            if self.basis == "spline":
                columns = cubic_splines(self.length, count) @ columns
        return columns / columns.square().sum(1).mean().sqrt()

    @cached_property
    def _prior(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Mean (C,), deviation (C,) and decay."""
        if self.match is None:
            ones = torch.ones(self.channels, dtype=torch.float64)
            return self.mean * ones, self.deviation * ones, self.decay
        series = training_series(self.match, self.array, self.stimulus_shape)
        deviation, mean = torch.std_mean(series, dim=(0, 2), correction=0)
        if not deviation.square().sum() > 0:
            raise InvalidSpec("match: the series are constant and have no roughness", field="match")
        wanted = roughness(series) / deviation.square().mean()
        return mean, deviation, self._decay_of(float(wanted))

    def _decay_of(self, wanted: float) -> float:
        """The decay at which random series of deviation 1 have this roughness."""

        def made(decay: float) -> float:
            # E (B x)^2 for x of N(0, I) is the sum of the squares of a row of B.
            return float(self._map(decay).diff(dim=0).square().sum(1).mean())

        low, high = 0.0, STEEPEST
        if not made(high) <= wanted <= made(low):
            cure = "give more coefficients" if wanted > made(low) else "give them finer values"
            raise InvalidSpec(
                f"match: the training series have a mean squared first difference of {wanted:.3g} "
                f"times their variance, and {self._count} coefficients of {self.basis} make "
                f"{made(high):.3g} to {made(low):.3g}; {cure}, or set decay by hand",
                field="match",
            )
        while high - low > 1e-9:
            middle = (low + high) / 2
            low, high = (middle, high) if made(middle) > wanted else (low, middle)
        return low


def cosines(length: int) -> torch.Tensor:
    """(T, T) float64, the orthonormal DCT-II: column k is frequency k."""
    time = (torch.arange(length, dtype=torch.float64) + 0.5) * (math.pi / length)
    waves = torch.cos(time[:, None] * torch.arange(length))
    unit: torch.Tensor = waves / waves.norm(dim=0)
    return unit


def cubic_splines(length: int, count: int) -> torch.Tensor:
    """(T, K) float64: the contribution of each of K control points at each of T places.

    Uniform knots, whose K - 3 pieces span the series (de Boor, "A practical guide to
    splines", 1978, chapter IX); each row sums to 1.
    """
    place = torch.linspace(0, count - 3, length, dtype=torch.float64)
    piece = place.floor().clamp_max(count - 4)
    u = place - piece
    weights = torch.stack(
        [
            (1 - u) ** 3,
            3 * u**3 - 6 * u**2 + 4,
            -3 * u**3 + 3 * u**2 + 3 * u + 1,
            u**3,
        ],
        dim=1,
    )
    columns = piece.long()[:, None] + torch.arange(4)
    zeros = torch.zeros(length, count, dtype=torch.float64)
    return zeros.scatter(1, columns, weights / 6)
