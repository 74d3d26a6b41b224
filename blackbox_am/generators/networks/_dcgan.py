"""DCGAN generators from their weights alone: layers and sizes are read from the tensors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
from torch import nn

from blackbox_am.core.weights import State
from blackbox_am.errors import InvalidSpec

_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Layer:
    """One layer with weights.

    Attributes:
        name: of the layer in the state; the part of a key before the last dot.
        tensors: its tensors by their own names.
    """

    name: str
    tensors: State

    @property
    def normalises(self) -> bool:
        """Whether this is batch normalisation."""
        return "running_mean" in self.tensors


class DCGAN(nn.Module):
    """Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional
    generative adversarial networks", 2016, as the net of the paper's PyTorch example.

    Transposed convolutions, each except the last followed by batch normalisation (if the state has
    it) and ReLU; tanh stands at the end. The first makes k x k pixels from one, with stride 1 and
    no padding. Later ones with kernels of 4 x 4 double the side, ones of 3 x 3 keep it, and ones of
    2 x 2 double it without padding.

    Args:
        state: tensors by name, in the order of the layers, or with numbers in their names.

    Raises:
        InvalidSpec: if these are not the tensors of such a net.
    """

    def __init__(self, state: State) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        found = layers_of(state)
        convolutions = [layer for layer in found if not layer.normalises]
        shapes = [tuple(layer.tensors["weight"].shape) for layer in convolutions]
        chained = all(a[1] == b[0] for a, b in pairwise(shapes))
        square = all(shape[2] == shape[3] for shape in shapes)
        kernels = {shape[2] for shape in shapes[1:]}
        if len(shapes) < 2 or not chained or not square or not kernels <= set(_STRIDES):
            raise InvalidSpec(
                "weights: expected transposed convolutions of a DCGAN, (channels in, channels out, "
                f"k, k) one after the other with kernels of 4, 3 or 2, got {shapes[:6]}; for a net "
                "of another architecture use the generator torch_generator, with your own class",
                field="weights",
            )
        for layer in found:
            if layer.normalises:
                layers.append(_filled(nn.BatchNorm2d(len(layer.tensors["running_mean"])), layer))
                continue
            if layers:  # behind the normalisation of the convolution before
                layers.append(nn.ReLU())
            layers.append(_convolution(layer, first=layer is convolutions[0]))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.latent = shapes[0][0]
        side = shapes[0][2]
        for shape in shapes[1:]:
            side *= _STRIDES[shape[2]][0]
        self.stimulus_shape = (shapes[-1][1], side, side)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Pictures (B, C, S, S) in [-1, 1] for latents (B, D)."""
        pictures: torch.Tensor = self.layers(z[:, :, None, None])
        return pictures


_STRIDES = {4: (2, 1), 3: (1, 1), 2: (2, 0)}
"""Stride and padding of a transposed convolution by the side of its kernel."""


def layers_of(state: State) -> list[Layer]:
    """The layers of a state, in the order of the numbers in their names.

    Raises:
        InvalidSpec: if there is another kind of layer than convolutions and batch normalisation.
    """
    ordered = sorted(state, key=lambda key: [
        int(part) if part.isdigit() else 0 for part in _NUMBERS.split(key.rpartition(".")[0])
    ])  # fmt: skip
    layers = []
    for name, keys in groupby(ordered, key=lambda key: key.rpartition(".")[0]):
        tensors = {key.rpartition(".")[2]: state[key].float() for key in keys}
        weight = tensors.get("weight")
        if "running_mean" not in tensors and (weight is None or weight.ndim != 4):
            got = "no weight" if weight is None else f"a weight of shape {tuple(weight.shape)}"
            raise InvalidSpec(
                f"weights: {name or 'the state'} has {got}; a DCGAN has transposed convolutions "
                "and batch normalisation alone. Put NAME.json beside the weights, as the generator "
                "gan describes it, or use the generator torch_generator, with your own class",
                field="weights",
            )
        layers.append(Layer(name, tensors))
    return layers


def _convolution(layer: Layer, *, first: bool) -> nn.Module:
    weight = layer.tensors["weight"]
    before, after, kernel, _ = weight.shape
    stride, padding = (1, 0) if first else _STRIDES[kernel]
    made = nn.ConvTranspose2d(before, after, kernel, stride, padding, bias="bias" in layer.tensors)
    return _filled(made, layer)


def _filled(module: nn.Module, layer: Layer) -> nn.Module:
    module.load_state_dict(layer.tensors, strict=False)
    return module
