"""What takes the place of the hidden part of a stimulus."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional

from blackbox_am.errors import InvalidSpec, ShapeMismatch

Fill = Literal["mean", "grey", "zero", "blur"]
FILLS: tuple[str, ...] = ("mean", "grey", "zero", "blur")


def filled(stimulus: torch.Tensor, fill: str | float | Any) -> torch.Tensor:
    """(*stimulus) what stands where `stimulus` is hidden.

    Args:
        stimulus: (*stimulus) in [0, 1].
        fill: `mean` of each channel of the stimulus (of a table row, 0.5), `grey` 0.5, `zero`,
            `blur`, which is a mean over a quarter of an image's side, a number, or an array of the
            stimulus's shape.

    Raises:
        InvalidSpec: for another name, or a number outside [0, 1].
        ShapeMismatch: for an array of another shape.
    """
    if isinstance(fill, str):
        return _named(stimulus, fill)
    values = torch.as_tensor(np.asarray(fill, np.float32))
    if values.ndim and tuple(values.shape) != tuple(stimulus.shape):
        raise ShapeMismatch(
            f"fill: expected shape {tuple(stimulus.shape)}, as the stimulus, got "
            f"{tuple(values.shape)}",
            field="fill",
        )
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise InvalidSpec(f"fill: expected numbers in [0, 1], got {fill!r}", field="fill")
    return values.expand(stimulus.shape).to(stimulus)


def _named(stimulus: torch.Tensor, fill: str) -> torch.Tensor:
    constants = {"grey": 0.5, "zero": 0.0}
    if fill in constants:
        return torch.full_like(stimulus, constants[fill])
    if fill == "mean":
        if stimulus.ndim == 1:
            return torch.full_like(stimulus, 0.5)
        axes = tuple(range(1, stimulus.ndim)) if stimulus.ndim > 2 else (-1,)
        return stimulus.mean(axes, keepdim=True).expand(stimulus.shape)
    if fill == "blur" and stimulus.ndim == 3:
        side = max(1, min(stimulus.shape[1:]) // 4)
        padded = functional.pad(stimulus[None], (side, side, side, side), mode="replicate")
        return functional.avg_pool2d(padded, 2 * side + 1, stride=1)[0]
    raise InvalidSpec(
        f"fill: expected {', '.join(FILLS)} (blur for images), a number or an array, got {fill!r}",
        field="fill",
    )
