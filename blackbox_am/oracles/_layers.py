"""What the modules of a PyTorch model are, told from one dry run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from blackbox_am.core.types import LayerInfo
from blackbox_am.oracles.torch._places import OUTPUT
from blackbox_am.oracles.torch._stand_ins import StandIn

AXES = {
    1: ("unit",),
    2: ("token", "unit"),
    3: ("unit", "height", "width"),
    4: ("unit", "depth", "height", "width"),
}
"""What the axes of an activation are, by how many there are."""

_CLASS_TOKENS = frozenset({"cls_token", "class_token", "class_embedding"})
_CONVOLUTIONS = (nn.modules.conv._ConvNd,)  # noqa: SLF001  # the base of all six has no public name
_NORMS = (
    nn.modules.batchnorm._NormBase,  # noqa: SLF001  # as above
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
)
_ACTIVATION_NAME = re.compile(
    r".*(relu|gelu|silu|swish|mish|sigmoid|tanh|elu|activation)", re.IGNORECASE
)


@dataclass(frozen=True)
class Run:
    """What was last read at one place in a dry run.

    Attributes:
        name: of the layer: a dotted module name, `OUTPUT` for the model itself.
        module: the module that was listened to.
        shape: of what was read, for one stimulus.
        head: whether it is one attention head.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    head: bool = False


def layers_of(model: nn.Module, runs: Iterable[Run], labels: tuple[str, ...]) -> list[LayerInfo]:
    """The readable layers, in the order of the computation.

    Outputs of shape (D,) are (unit,); (T, D) is (token, unit), but (unit, length) in a model
    with 1-D convolutions and no layer norm or attention; (C, H, W) is (unit, height, width);
    (C, D, H, W) is (unit, depth, height, width). Other outputs are not readable.

    Args:
        model: the whole model.
        runs: what the dry run saw.
        labels: class names, for the model's output and its last linear layer.
    """
    signals = _has(model, nn.Conv1d) and not _has(model, nn.LayerNorm, nn.MultiheadAttention)
    axes = {**AXES, 2: ("unit", "length")} if signals else AXES
    kept = [run for run in runs if len(run.shape) in axes and math.prod(run.shape) > 0]
    scored = [run.name for run in kept if labels and run.shape == (len(labels),)]
    heads = [run.name for run in kept if run.name in scored and _is_a(run.module, nn.Linear)]
    labelled = {*heads[-1:], OUTPUT} & set(scored)
    return [
        LayerInfo(
            run.name,
            _kind(run, axes[len(run.shape)]),
            run.shape,
            axes[len(run.shape)],
            is_activation(run.module),
            labels if run.name in labelled else (),
        )
        for run in kept
    ]


def layer_name(name: str, taken: set[str]) -> str:
    """`name` in the grammar of units: `/layer1/conv/Conv_output_0` loses its slashes.

    Args:
        name: of a tensor.
        taken: names that are; the new one is added.
    """
    words = [re.sub(r"[^\w\-]", "_", word).lstrip("-") for word in re.split(r"[./]+", name)]
    plain = ".".join(word for word in words if word) or "tensor"
    unique, number = plain, 2
    while unique in taken:
        unique, number = f"{plain}_{number}", number + 1
    taken.add(unique)
    return unique


def is_activation(module: nn.Module) -> bool:
    """Whether the module is an activation function, by its class or its class's name."""
    composite = module.composite if isinstance(module, StandIn) else any(module.children())
    if composite or _is_a(module, nn.MultiheadAttention):
        return False
    ours = _class_of(module).__module__ == "torch.nn.modules.activation"
    name = module.original_name if isinstance(module, StandIn) else type(module).__name__
    return ours or _ACTIVATION_NAME.fullmatch(name) is not None


def has_class_token(model: nn.Module, layer: LayerInfo) -> bool:
    """Whether token 0 of a layer is a class token.

    A model has one where it owns a parameter called cls_token, class_token or
    class_embedding. Then every layer of tokens has it, but those whose number of tokens
    is a square: these hold the patches of a square image and nothing else, as the patch
    embedding does.
    """
    if "token" not in layer.axes:
        return False
    named = any(name.rsplit(".", 1)[-1] in _CLASS_TOKENS for name, _ in model.named_parameters())
    tokens = layer.shape[layer.axes.index("token")]
    return named and math.isqrt(tokens) ** 2 != tokens


def _kind(run: Run, axes: tuple[str, ...]) -> str:
    if run.head:
        return "head"
    if is_activation(run.module):
        return "activation"
    if _is_a(run.module, *_CONVOLUTIONS):
        return "conv"
    if _is_a(run.module, nn.Linear):
        return "linear"
    if _is_a(run.module, *_NORMS):
        return "norm"
    return "tokens" if "token" in axes else "other"


def _has(model: nn.Module, *kinds: type[nn.Module]) -> bool:
    return any(_is_a(module, *kinds) for module in model.modules())


def _is_a(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    return issubclass(_class_of(module), kinds)


def _class_of(module: nn.Module) -> type[nn.Module]:
    """Its class; for a stand-in that of the original, where it is one of PyTorch's."""
    if isinstance(module, StandIn):
        known = getattr(nn, module.original_name, None)
        return known if isinstance(known, type) and issubclass(known, nn.Module) else StandIn
    return type(module)
