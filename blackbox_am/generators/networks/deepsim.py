"""The up-convolutional generator of Dosovitskiy and Brox, with the user's copy of the weights."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from blackbox_am.core.generator import bounded, check_latent_shape
from blackbox_am.core.images import center_crop
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.weights import fill, read_state
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._arrays import Given, read_array
from blackbox_am.generators._diffusers import Loaded

MEAN = (104.0, 117.0, 123.0)
"""The values that CaffeNet subtracts from blue, green and red, in 0 to 255."""

_CURE = (
    "these weights are licensed for research and do not ship: get the authors' (Dosovitskiy and "
    "Brox 2016, 'Generating images with perceptual similarity metrics based on deep networks', "
    "generator of fc6) and convert the Caffe model to a state dict with the names of its layers, "
    "defc7.weight to deconv0.bias"
)
_CONVOLUTIONS = (
    ("deconv5", 4),
    ("conv5_1", 3),
    ("deconv4", 4),
    ("conv4_1", 3),
    ("deconv3", 4),
    ("conv3_1", 3),
    ("deconv2", 4),
    ("deconv1", 4),
    ("deconv0", 4),
)
"""Layers after the dense ones, with the sides of their kernels: 4 doubles the image's side."""


@dataclass(frozen=True)
class DeePSim(Loaded):
    """Natural-looking images from the features of CaffeNet's layer fc6 (or fc7).

    Dosovitskiy and Brox, "Generating images with perceptual similarity metrics based on deep
    networks", 2016: three dense layers, then nine transposed convolutions from 4 x 4 to 256 x
    256, leaky ReLUs of slope 0.3 between them. The network's output is blue, green and red minus
    CaffeNet's mean; stimuli are red, green and blue, cut off at 0 and 1.

    A latent is a code of features after their ReLU, in the box [0, u]: u is the mean plus
    three deviations of each over natural images (Nguyen, Dosovitskiy, Yosinski, Brox and
    Clune, "Synthesizing the preferred inputs for neurons in neural networks via deep
    generator networks", 2016). Codes outside the box are moved to its boundary. The prior of the
    box is uniform; natural codes are sparser: most of their numbers are 0 or small.

    Licence: the authors' weights are for research and may not be redistributed, so they are not
    part of this package.

    Attributes:
        weights: a .safetensors file, or one of torch.save, of a state dict: `defc7.weight` to
            `deconv0.bias`, transposed convolutions as PyTorch keeps them. Widths are read from the
            state dict. A prefix `G.` of all names is dropped.
        bounds: u, one number, or one for each feature: numbers, or the path of a .npy, .npz or
            .safetensors file. 11.85, the mean of the published ones, unless given.
        crop: side of the square in the middle that is kept, such as 227 of 256; all unless given.
        mean: of blue, green and red, in 0 to 255.

    Raises:
        InvalidSpec: for numbers out of range.
    """

    kind: ClassVar[str] = "deepsim"

    weights: str
    bounds: Given = 11.85
    crop: int | None = None
    mean: tuple[float, float, float] = MEAN

    def __post_init__(self) -> None:
        if self.crop is not None:
            check(self.crop >= 1, "crop", "1 or more", self.crop)
        fits = len(self.mean) == 3 and all(0 <= value <= 255 for value in self.mean)
        check(fits, "mean", "three numbers in 0 to 255", self.mean)

    @property
    def licence(self) -> str:
        return "research only, not to be handed on (authors' weights)"

    @property
    def space(self) -> Space:
        """The box [0, u].

        Raises:
            NotFound: if the file does not exist. The message says where to get the weights.
            InvalidSpec: if the weights belong to another network, or the bounds do not fit the
                network.
        """
        return self._space

    @cached_property
    def _space(self) -> Space:
        features = self._net.defc7.in_features
        high = read_array("bounds", self.bounds).astype(np.float64).reshape(-1)
        positive = high.size in (1, features) and bool(np.isfinite(high).all() and (high > 0).all())
        check(positive, "bounds", f"1 or {features} positive numbers", f"{high.size} numbers")
        return build_space(
            SpaceSpec("box", features, low=(0.0,), high=tuple(float(value) for value in high))
        )

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        whole = self._net.side
        if self.crop is None:
            return (3, whole, whole)
        check(self.crop <= whole, "crop", f"{whole} at most", self.crop)
        return (3, self.crop, self.crop)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        space = self.space
        check_latent_shape(space, latents)
        network = self._net
        weight = network.defc7.weight
        codes = space.project(latents.to(weight.device, torch.float32))
        made = self._slices.render(network, codes)
        images = (made + made.new_tensor(self.mean).reshape(1, 3, 1, 1)) / 255
        return center_crop(bounded(images.flip(1)), self.stimulus_shape[1:])

    def _load(self) -> nn.Module:
        path = Path(self.weights)
        found = read_state(path, _CURE)
        state = {key.removeprefix("G."): value for key, value in found.items()}
        network = _UpConvolutional(state, self.weights)
        fill(network, state, path)
        return network.float()


class _UpConvolutional(nn.Module):
    """Codes (N, features) to (N, 3, side, side); layers are named as in the published model."""

    def __init__(self, state: dict[str, torch.Tensor], path: str) -> None:
        super().__init__()
        try:
            with torch.device("meta"):
                for name in ("defc7", "defc6", "defc5"):
                    wide, narrow = state[f"{name}.weight"].shape
                    setattr(self, name, nn.Linear(narrow, wide))
                channels = state["deconv5.weight"].shape[0]
                for name, kernel in _CONVOLUTIONS:
                    narrow, wide = state[f"{name}.weight"].shape[:2]
                    stride = 2 if kernel == 4 else 1
                    setattr(self, name, nn.ConvTranspose2d(narrow, wide, kernel, stride, 1))
            self.to_empty(device="cpu")
        except (KeyError, ValueError) as error:
            raise InvalidSpec(
                f"weights: {path!r} holds no generator of fc6: {error} is missing or of another "
                "kind; expected defc7.weight to deconv0.bias",
                field="weights",
            ) from error
        self.grid = round((state["defc5.weight"].shape[0] / channels) ** 0.5)
        doublings = sum(kernel == 4 for _, kernel in _CONVOLUTIONS)
        self.side = self.grid * 2**doublings
        fits = self.grid**2 * channels == state["defc5.weight"].shape[0]
        if not fits or state["deconv0.weight"].shape[1] != 3:
            raise InvalidSpec(
                f"weights: {path!r}: expected defc5 to make a square of {channels} channels, and "
                "deconv0 to make 3",
                field="weights",
            )

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        layers: OrderedDict[str, Any] = OrderedDict(self.named_children())
        hidden = codes
        for name in ("defc7", "defc6", "defc5"):
            hidden = nn.functional.leaky_relu(layers[name](hidden), 0.3)
        hidden = hidden.reshape(len(codes), -1, self.grid, self.grid)
        for name, _ in _CONVOLUTIONS[:-1]:
            hidden = nn.functional.leaky_relu(layers[name](hidden), 0.3)
        made: torch.Tensor = layers["deconv0"](hidden)
        return made
