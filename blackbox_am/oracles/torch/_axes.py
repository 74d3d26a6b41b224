"""The unit axis of a module's output and of its input, determined by the module's class."""

from __future__ import annotations

import importlib
import re

import torch
from torch import nn

from blackbox_am.oracles.torch._stand_ins import StandIn

_FIRST = (
    nn.modules.conv._ConvNd,  # noqa: SLF001  # the common base classes have no public names
    nn.modules.batchnorm._NormBase,  # noqa: SLF001
)
"""Classes whose channels stand before the axes of space or time."""
_LAST = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.Transformer,
)
"""Classes whose features stand on the last axis."""
_SECOND = (nn.GroupNorm, nn.LocalResponseNorm, nn.Softmax2d)
"""Classes whose channels stand on the second axis, whatever follows."""
_QUANTISED = re.compile(r"torch\.(ao\.)?nn\.(intrinsic\.)?(quantized|qat)\b.*")
_DIMENSIONS = re.compile(r"(?:Conv|ConvTranspose|BatchNorm|InstanceNorm|ConvReLU)(\d)d")


def output_axis(module: nn.Module, output: torch.Tensor) -> int | None:
    """The unit axis of the output of `module`; None if the class alone does not determine it.

    A subclass with its own computation counts as unknown: some layer norms have channels first.
    """
    kind = known_class(module)
    if kind is None:
        return None
    axis = _axis_of(kind, module, output.ndim)
    return axis if axis is None or 0 < axis < output.ndim else None


def input_axis(module: nn.Module, values: torch.Tensor) -> int | None:
    """The unit axis of the input of `module`; None if the class alone does not determine it."""
    kind = known_class(module)
    if kind is None or issubclass(kind, (nn.Embedding, nn.EmbeddingBag)):
        return None
    axis = _axis_of(kind, module, values.ndim)
    return axis if axis is None or 0 < axis < values.ndim else None


def known_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of PyTorch that computes what `module` computes; None for any other class."""
    if isinstance(module, StandIn):
        return _original_class(module.original_name)
    kind = type(module)
    own = getattr(kind.forward, "__module__", None) or ""
    if own.startswith("torch.nn.") or _QUANTISED.match(own):
        return kind
    return None


def _axis_of(kind: type[nn.Module], module: nn.Module, axes: int) -> int | None:
    if _QUANTISED.match(kind.__module__):
        return _axis_by_name(kind.__name__, axes)
    if issubclass(kind, _FIRST):
        return _axis_by_name(kind.__name__, axes) or 1
    if issubclass(kind, _LAST):
        return axes - 1
    if issubclass(kind, _SECOND):
        return 1
    if issubclass(kind, (nn.LayerNorm, nn.RMSNorm)):
        # A layer norm over whole maps, (C, H, W), does not determine which axis is the unit axis.
        return axes - 1 if len(getattr(module, "normalized_shape", ())) == 1 else None
    return None


def _axis_by_name(name: str, axes: int) -> int | None:
    if name.startswith(("Linear", "Embedding", "LSTM", "GRU")):
        return axes - 1
    found = _DIMENSIONS.search(name)
    if found is None:
        return None
    # BatchNorm1d and InstanceNorm1d also take rows without a length.
    return max(axes - 1 - int(found[1]), 1)


def _original_class(name: str) -> type[nn.Module] | None:
    """The class of a stand-in's original module by its full name, if it is a class of PyTorch."""
    module, _, kind = name.removeprefix("__torch__.").rpartition(".")
    if not module.startswith("torch.nn."):
        return None
    try:
        found = getattr(importlib.import_module(module), kind, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None
