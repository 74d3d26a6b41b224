"""A linear generator: the principal components of given stimuli."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import (
    Generator,
    bounded,
    check_latent_shape,
    check_stimuli,
)
from blackbox_am.core.ranges import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._kept import Tensors, cache_folder, kept
from blackbox_am.generators._stimuli import PROBES, checksum, stimuli_files, stimuli_of


@dataclass(frozen=True)
class PCA(Generator):
    """Stimuli from the first principal components of given stimuli of any shape.

    A latent x of the prior N(0, I) becomes mean + sum over i of x_i s_i c_i, cut off at 0
    and 1, with c_i the i-th unit eigenvector of the stimuli's covariance and s_i^2 its
    eigenvalue: random latents have the mean and, within d dimensions, the covariance of the
    stimuli. The first coordinates move the stimulus most. Components are exact, from the
    smaller of the covariance (pixels x pixels) and the Gram matrix (stimuli x stimuli) in float64.
    The time grows with the cube of the matrix's side: 10^4 pictures of 32 x 32 take seconds;
    `cache` keeps the result.

    Attributes:
        data: `zoo:probe_images`, or the path of a .npz, .npy or .safetensors file of stimuli
            (N, *stimulus), uint8 or in [0, 1]; in Python also an array.
        components: d.
        array: name of the array, in a file with several arrays.
        channels_last: whether entries of the file are (height, width, channels).
        cache: folder in which components are kept; components are not kept unless given.

    Raises:
        InvalidSpec: for a number of components below 1.
    """

    kind: ClassVar[str] = "pca"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"cache"})

    data: Any = PROBES
    components: int = 64
    array: str = ""
    channels_last: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        check(self.components >= 1, "components", "1 or more", self.components)

    def contents(self) -> Mapping[str, object]:
        return {"data": stimuli_files(self.data)}

    @property
    def space(self) -> Space:
        """Normal, one coordinate for each component.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: if the file contains no stimuli, or too few.
        """
        _ = self._stimuli
        return build_space(SpaceSpec("normal", self.components))

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return tuple(self._stimuli.shape[1:])

    @property
    def explained(self) -> float:
        """Share of the stimuli's variance that lies in the components."""
        return float(self._basis["deviations"].double().square().sum() / self._basis["variance"])

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        mean, components = self._map.on(latents.device)
        flat = torch.addmm(mean, latents.to(torch.float32), components)
        return bounded(flat).reshape(-1, *self.stimulus_shape)

    @property
    def encodes(self) -> bool:
        return True

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The projection on the components, which minimises the squared error before the cut at 0
        and 1.
        """
        check_stimuli(self, stimuli)
        mean, components = self._map.on(stimuli.device)
        # Rows have the length of their deviation: x_i = (c_i s_i) . (stimulus - mean) / s_i^2.
        squares = components.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
        centred = stimuli.detach().to(torch.float32).flatten(1) - mean
        return centred @ components.T / squares

    @cached_property
    def _stimuli(self) -> NDArray[np.float32]:
        stimuli = stimuli_of("data", self.data, self.array, channels_last=self.channels_last)
        most = min(len(stimuli) - 1, math.prod(stimuli.shape[1:]))
        if self.components > most:
            raise InvalidSpec(
                f"components: {len(stimuli)} stimuli of {math.prod(stimuli.shape[1:])} values "
                f"have {most} at most, got {self.components}",
                field="components",
            )
        return stimuli

    @cached_property
    def _map(self) -> Constants:
        """The mean (n,), and the components (d, n) multiplied by their deviations."""
        basis = self._basis
        scaled = basis["components"] * basis["deviations"][:, None]
        return Constants(lambda: (basis["mean"], scaled))

    @cached_property
    def _basis(self) -> Tensors:
        def build() -> Tensors:
            return principal_components(torch.from_numpy(self._stimuli), self.components)

        if not self.cache:
            return build()
        key = {"stimuli": checksum(self._stimuli), "components": self.components, "version": 1}
        return kept(cache_folder(self.cache), "pca", key, build)


def principal_components(stimuli: torch.Tensor, count: int) -> Tensors:
    """The first components of stimuli (N, *stimulus) with n values each.

    Returns:
        mean (n,), components (count, n) with unit rows, their deviations (count,) largest
        first, and the stimuli's total variance (). The sign of a component is such that its largest
        entry is positive.
    """
    flat = stimuli.flatten(1).double()
    mean = flat.mean(0)
    centred = flat - mean
    rows = len(flat)
    if rows <= flat.shape[1]:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        # An eigenvector u of the Gram matrix gives the weights of the data; their weighted sum has
        # the direction of the component.
        components = vectors.flip(1)[:, :count].T @ centred
        components = torch.nn.functional.normalize(components, dim=1)
    else:
        values, vectors = torch.linalg.eigh(centred.T @ centred)
        components = vectors.flip(1)[:, :count].T
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    components = components * torch.where(largest < 0, -1.0, 1.0)
    spectrum = values.flip(0).clamp_min(0) / (rows - 1)
    return {
        "mean": mean.float(),
        "components": components.float().contiguous(),
        "deviations": spectrum[:count].sqrt().float(),
        "variance": spectrum.sum().float(),
    }
