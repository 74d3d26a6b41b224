"""Exponential smoothing of time series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import bounded
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._series import roughness, training_series
from blackbox_am.generators._stimuli import stimuli_files

DRAWS = 512
"""Random series of the inner generator whose roughness is matched."""
LEAST = 1e-3
"""The smallest `alpha` that is chosen."""


@dataclass(frozen=True)
class Smooth(GeneratorWrapper):
    """Exponential smoothing of series along time: s_t = alpha x_t + (1 - alpha) s_{t-1}, from the
    first value on.

    "Sequence Dreaming" smooths what gradient ascent finds in this way, and does not state its
    coefficients. With `match`, alpha gives random series of the inner generator the roughness of
    training series: their mean squared first difference. A search can undo a part of the smoothing
    with steeper inner series; a penalty on `stimulus.roughness` prevents it.

    Attributes:
        alpha: weight of the present value, above 0; 1 changes nothing.
        match: training series, the path of a .npz, .npy or .safetensors file of (N, channels,
            steps) in [0, 1], in Python also an array. `alpha` is then chosen.
        array: name of the array, in a file with several arrays.

    Raises:
        InvalidSpec: for an alpha out of range, or both `alpha` and `match`; when the stimulus shape
            is read, if the inner stimuli are not series.
    """

    kind: ClassVar[str] = "smooth"

    alpha: float | None = None
    match: Any = None
    array: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        one = (self.alpha is None) != (self.match is None)
        check(one, "alpha", "a number, or training series as `match`, one of the two", self.alpha)
        check(self.alpha is None or 0 < self.alpha <= 1, "alpha", "above 0, at most 1", self.alpha)

    def contents(self) -> Mapping[str, object]:
        return {} if self.match is None else {"match": stimuli_files(self.match)}

    def around(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        check(len(shape) == 2, "alpha", "a generator of series (channels, steps)", shape)
        return shape

    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        (matrix,) = self._matrix.on(stimuli.device)
        return bounded(torch.matmul(stimuli, matrix.T))  # rounding can leave [0, 1] by one bit

    @cached_property
    def chosen_alpha(self) -> float:
        """`alpha`, or the weight that matches the training series.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: for series of another shape, or rougher than the inner generator's.
        """
        if self.alpha is not None:
            return self.alpha
        series = training_series(self.match, self.array, self.stimulus_shape)
        return _matching(self._draws(), float(roughness(series)))

    def _draws(self) -> torch.Tensor:
        """Random series of the inner generator, the same at each call."""
        latents = self.inner.space.sample(Stream(0, "smooth", 0), DRAWS)[0]
        with torch.no_grad():
            found: torch.Tensor = self.inner.render(latents).double()
        return found

    @cached_property
    def _matrix(self) -> Constants:
        """(T, T) row t is the weight of each time step in s_t."""
        steps = self.stimulus_shape[1]
        return Constants(lambda: (smoothing(steps, self.chosen_alpha).float(),))


def smoothing(steps: int, alpha: float) -> torch.Tensor:
    """(steps, steps) float64: the matrix of exponential smoothing, each row with the sum 1."""
    time = torch.arange(steps, dtype=torch.float64)
    ago = time[:, None] - time
    weights = torch.where(ago >= 0, alpha * (1 - alpha) ** ago.clamp_min(0), 0.0)
    weights[:, 0] = (1 - alpha) ** time
    return weights


def _matching(series: torch.Tensor, wanted: float) -> float:
    """The alpha with which random series (N, C, T) have a roughness.

    Raises:
        InvalidSpec: if they are smoother without smoothing.
    """
    most = float(roughness(series))
    if not 0 < wanted <= most:
        raise InvalidSpec(
            f"match: the training series have a mean squared first difference of {wanted:.3g}, and "
            f"the random series of the generator one of {most:.3g}, which smoothing only lowers; "
            "use a rougher generator, such as `series` with decay = 0",
            field="match",
        )
    low, high = LEAST, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        made = torch.matmul(series, smoothing(series.shape[-1], middle).T)
        low, high = (low, middle) if float(roughness(made)) > wanted else (middle, high)
    return high
