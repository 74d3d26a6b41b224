"""Layers of a PyTorch model, with the names of their axes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from blackbox_am.core.types import LayerInfo
from blackbox_am.oracles.torch._axes import known_class
from blackbox_am.oracles.torch._stand_ins import StandIn

_CONVOLUTIONS = (nn.modules.conv._ConvNd,)  # noqa: SLF001  # the base of all six has no public name
_NORMS = (
    nn.modules.batchnorm._NormBase,  # noqa: SLF001  # as above
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
)
_ACTIVATION_NAME = re.compile(
    r".*(relu|gelu|silu|swish|mish|sigmoid|tanh|elu|activation)", re.IGNORECASE
)


@dataclass(frozen=True)
class Layer:
    """A layer of a PyTorch model.

    Attributes:
        name: a dotted module name, `output` for the model itself.
        module: the module whose forward pass is recorded.
        shape: of the recorded values for one stimulus.
        axes: the name of each axis of the shape.
        head: whether it is one attention head.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    head: bool = False


def layers_of(layers: Iterable[Layer], output: str, labels: tuple[str, ...]) -> list[LayerInfo]:
    """The layers as they are described, in the order given.

    Args:
        layers: of the model.
        output: the name of the model's own output.
        labels: class names, for the model's output and its last linear layer.
    """
    kept = list(layers)
    scored = [layer.name for layer in kept if labels and layer.shape == (len(labels),)]
    heads = [one.name for one in kept if one.name in scored and _is_a(one.module, nn.Linear)]
    labelled = {*heads[-1:], output} & set(scored)
    return [
        LayerInfo(
            layer.name,
            _kind(layer),
            layer.shape,
            layer.axes,
            is_activation(layer.module),
            labels if layer.name in labelled else (),
        )
        for layer in kept
    ]


def is_activation(module: nn.Module) -> bool:
    """Whether the module is an activation function, by its class or its class's name."""
    composite = module.composite if isinstance(module, StandIn) else any(module.children())
    if composite or _is_a(module, nn.MultiheadAttention):
        return False
    ours = _class_of(module).__module__ == "torch.nn.modules.activation"
    full = module.original_name if isinstance(module, StandIn) else type(module).__name__
    return ours or _ACTIVATION_NAME.fullmatch(full.rpartition(".")[2]) is not None


def _kind(layer: Layer) -> str:
    if layer.head:
        return "head"
    if is_activation(layer.module):
        return "activation"
    name = _class_of(layer.module).__name__
    quantised = "quantized" in _class_of(layer.module).__module__
    if _is_a(layer.module, *_CONVOLUTIONS) or (quantised and name.startswith("Conv")):
        return "conv"
    if _is_a(layer.module, nn.Linear) or (quantised and name.startswith("Linear")):
        return "linear"
    if _is_a(layer.module, *_NORMS):
        return "norm"
    return "tokens" if "token" in layer.axes else "other"


def _is_a(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    return issubclass(_class_of(module), kinds)


def _class_of(module: nn.Module) -> type[nn.Module]:
    """The module's class; for a stand-in the class of the original module, if it is a class of
    PyTorch.
    """
    if isinstance(module, StandIn):
        return known_class(module) or StandIn
    return type(module)
