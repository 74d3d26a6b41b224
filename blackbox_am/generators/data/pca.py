"""A linear generator: the principal components of given stimuli."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import (
    Generator,
    bounded,
    check_latent_shape,
    check_stimuli,
)
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._cards import card_licence
from blackbox_am.generators._kept import Tensors, cache_folder, kept
from blackbox_am.generators._stimuli import PROBES, checksum, stimuli_files, stimuli_of

COMPONENTS = "components.safetensors"
"""The file in a folder of fitted components."""


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

    A search would leave the prior: after 500 rows, latents have 3 times its length, and most pixels
    are black or white. Coordinates are therefore bounded: x becomes x / (1 + (x / b)^4)^(1/4),
    which changes x by less than 2 % up to b / 2 and stays below b.

    Attributes:
        data: `zoo:probe_images`, or the path of a .npz, .npy or .safetensors file of stimuli
            (N, *stimulus), uint8 or in [0, 1]; in Python also an array. Or the folder of components
            that `blackbox-am generators fit pca` wrote.
        components: d; unless given 64, or as many as the folder has.
        bound: b, in deviations; none if None.
        array: name of the array, in a file with several arrays.
        channels_last: whether entries of the file are (height, width, channels).
        cache: folder in which components are kept; components are not kept unless given.

    Raises:
        InvalidSpec: for a number of components below 1, or a bound that is not positive.
    """

    kind: ClassVar[str] = "pca"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"cache"})

    data: Any = PROBES
    components: int | None = None
    bound: float | None = 3.0
    array: str = ""
    channels_last: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        if self.components is not None:
            check(self.components >= 1, "components", "1 or more", self.components)
        if self.bound is not None:
            check(0 < self.bound < math.inf, "bound", "a positive number", self.bound)

    def contents(self) -> Mapping[str, object]:
        return {"data": self._fitted or stimuli_files(self.data)}

    @property
    def space(self) -> Space:
        """Normal, one coordinate for each component.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: if the file contains no stimuli, or too few.
        """
        return build_space(SpaceSpec("normal", self._count))

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        if self._fitted is not None:
            return tuple(self._basis["mean"].shape)
        return tuple(self._stimuli.shape[1:])

    @property
    def licence(self) -> str:
        return "" if self._fitted is None else card_licence(self._fitted)

    @property
    def explained(self) -> float:
        """Share of the stimuli's variance that lies in the components."""
        deviations = self._basis["deviations"][: self._count].double()
        return float(deviations.square().sum() / self._basis["variance"])

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        mean, components = self._map.on(latents.device)
        flat = torch.addmm(mean, self._bounded(latents.to(torch.float32)), components)
        return bounded(flat).reshape(-1, *self.stimulus_shape)

    @property
    def encodes(self) -> bool:
        return True

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The projection on the components, which minimises the squared error before the cut at 0
        and 1. Coordinates beyond the bound are moved to 99 % of it.
        """
        check_stimuli(self, stimuli)
        mean, components = self._map.on(stimuli.device)
        # Rows have the length of their deviation: x_i = (c_i s_i) . (stimulus - mean) / s_i^2.
        squares = components.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
        centred = stimuli.detach().to(torch.float32).flatten(1) - mean
        return self._unbounded(centred @ components.T / squares)

    def _bounded(self, latents: torch.Tensor) -> torch.Tensor:
        if self.bound is None:
            return latents
        return latents / (1 + (latents / self.bound) ** 4) ** 0.25

    def _unbounded(self, values: torch.Tensor) -> torch.Tensor:
        """Latents whose bounded values are `values`."""
        if self.bound is None:
            return values
        inside = values.clamp(-0.99 * self.bound, 0.99 * self.bound)
        return inside / (1 - (inside / self.bound) ** 4) ** 0.25

    @cached_property
    def _fitted(self) -> Path | None:
        """The folder of fitted components, if `data` is one."""
        if not isinstance(self.data, (str, Path)) or not (Path(self.data) / COMPONENTS).is_file():
            return None
        return Path(self.data)

    @cached_property
    def _count(self) -> int:
        """D.

        Raises:
            InvalidSpec: if there are fewer components.
        """
        if self._fitted is None:
            size = math.prod(self._stimuli.shape[1:])
            most = min(len(self._stimuli) - 1, size)
            usual = min(64, most)
            told = f"{len(self._stimuli)} stimuli of {size} values have {most} at most"
        else:
            usual = most = len(self._basis["deviations"])
            told = f"the folder has {most}"
        count = usual if self.components is None else self.components
        if count > most or most < 1:
            raise InvalidSpec(f"components: {told}, got {count}", field="components")
        return count

    @cached_property
    def _stimuli(self) -> NDArray[np.float32]:
        return stimuli_of("data", self.data, self.array, channels_last=self.channels_last)

    @cached_property
    def _map(self) -> Constants:
        """The mean (n,), and the components (d, n) multiplied by their deviations."""
        basis = self._basis
        deviations = basis["deviations"][: self._count, None]
        scaled = basis["components"][: self._count].float() * deviations
        return Constants(lambda: (basis["mean"].flatten(), scaled))

    @cached_property
    def _basis(self) -> Tensors:
        if self._fitted is not None:
            return read_components(self._fitted)

        def build() -> Tensors:
            return principal_components(torch.from_numpy(self._stimuli), self._count)

        if not self.cache:
            return build()
        key = {"stimuli": checksum(self._stimuli), "components": self._count, "version": 1}
        return kept(cache_folder(self.cache), "pca", key, build)


def read_components(folder: Path) -> Tensors:
    """What `principal_components` returned, from a folder of fitted components; the mean has the
    shape of a stimulus.

    Raises:
        InvalidSpec: if the file is damaged, or has other tensors.
    """
    path = folder / COMPONENTS
    try:
        found = load_file(path)
        count = len(found["deviations"])
        fits = found["components"].shape == (count, found["mean"].numel()) and "variance" in found
    except (SafetensorError, OSError, KeyError) as error:
        raise InvalidSpec(f"data: {path} cannot be read: {error}", field="data") from error
    if not fits:
        raise InvalidSpec(
            f"data: {path} has tensors that do not fit together; fit it again", field="data"
        )
    return found


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
