"""Redirected gradients of ReLUs: a gradient reaches a unit that is off."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from blackbox_am.core.chain import position
from blackbox_am.errors import InvalidSpec

GENERATIONS = 16
"""Number of generations of a study, from its first one, in which gradients are redirected."""

_TOPS = {nn.ReLU: math.inf, nn.ReLU6: 6.0}
"""The classes of modules whose gradients are redirected, with their largest value."""


class _Redirected(torch.autograd.Function):
    """The output of a ReLU, with the redirected gradient with respect to its input."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, output: torch.Tensor, axis: int, top: float
    ) -> torch.Tensor:
        ctx.save_for_backward(values)
        ctx.axis, ctx.top = axis, top
        return output.clone()

    @staticmethod
    def backward(ctx: Any, slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (values,) = ctx.saved_tensors
        return redirected(values, slopes, ctx.axis, ctx.top), None, None, None


def redirected(
    values: torch.Tensor, slopes: torch.Tensor, axis: int = 0, top: float = math.inf
) -> torch.Tensor:
    """The gradient of a score, which is to be maximised, with respect to the input of a ReLU.

    Where the ordinary gradient of a row is not zero everywhere, it is the ordinary gradient. In
    other rows, the gradient passes where the unit is on, and where it pushes a unit that is off
    back into its range: up where the input is at most 0, down where it is at least `top`.

    Source: Lucid, `misc/redirected_relu_grad.py` (2018), where signs are those of a loss, and the
    gradient also passes in both directions where the input is exactly 0 or `top`.

    Args:
        values: the input of the ReLU.
        slopes: the gradient with respect to its output, of the same shape.
        axis: the axis along which rows are told apart.
        top: the largest value of the output: infinity, or 6 for ReLU6.
    """
    off, over = values <= 0, values >= top
    ordinary = slopes.masked_fill(off | over, 0)
    back = slopes.masked_fill((off & (slopes < 0)) | (over & (slopes > 0)), 0)
    others = [one for one in range(values.ndim) if one != axis]
    alive = (ordinary != 0).any(dim=others, keepdim=True) if others else ordinary != 0
    return torch.where(alive, ordinary, back)


def check_redirectable(model: nn.Module) -> None:
    """Check that a model has ReLUs whose gradients can be redirected.

    Raises:
        InvalidSpec: if it has none.
    """
    if not any(_top_of(module) for module in model.modules()):
        raise InvalidSpec(
            f"redirected_relu: expected a model with modules of class ReLU or ReLU6, and this "
            f"{type(model).__name__} has none; a ReLU that is called as a function, or is inside "
            "of a program, cannot be redirected; leave redirected_relu out",
            field="redirected_relu",
        )


@contextmanager
def redirecting(axes: Mapping[nn.Module, int]) -> Iterator[None]:
    """Inside this context, calls of ReLUs have redirected gradients, if autograd records them.

    Nothing is redirected after the first `GENERATIONS` generations of a study. Only hooks are put
    on the modules, and are removed afterwards; the values of the outputs do not change.

    Args:
        axes: for each module, the axis of its output along which stimuli are told apart.
    """
    if not torch.is_grad_enabled() or position().generation >= GENERATIONS:
        yield
        return
    with ExitStack() as hooks:
        for module, axis in axes.items():
            top = _top_of(module)
            if top:
                for handle in _hooked(module, axis, top):
                    hooks.callback(handle.remove)
        yield


def _hooked(module: nn.Module, axis: int, top: float) -> Iterator[Any]:
    inputs: list[torch.Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        values = args[0] if args else None
        if isinstance(values, torch.Tensor) and values.requires_grad and values.ndim > axis:
            # A ReLU in place overwrites its input.
            inputs.append(values.clone() if getattr(module, "inplace", False) else values)

    def after(module: nn.Module, args: Any, output: torch.Tensor) -> Any:  # noqa: ARG001
        if not inputs:
            return None
        return _Redirected.apply(  # type: ignore[no-untyped-call]  # a method of PyTorch
            inputs.pop(), output.detach(), axis, top
        )

    yield module.register_forward_pre_hook(before)
    yield module.register_forward_hook(after)


def _top_of(module: nn.Module) -> float:
    """The largest value of a ReLU; 0 for any other module."""
    return next((top for kind, top in _TOPS.items() if isinstance(module, kind)), 0.0)
