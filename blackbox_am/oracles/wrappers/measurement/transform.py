"""Adapts stimuli to a model: size, colour, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch.nn import functional

from blackbox_am.core.images import MODES, Mode, center_crop, luma, resized
from blackbox_am.core.oracle import check_stimuli
from blackbox_am.core.parameters import check
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Transform(Wrapper):
    """Changes images (channels, height, width) before the model receives them.

    The steps, in this order, each only where its parameter is given: `channels`, `resize`,
    `crop`, `pad`, then (x - mean) / std. Gradients pass through.

    Attributes:
        stimulus_shape: shape of the stimuli before the change; empty: as the model takes them.
        channels: `bgr` reverses the order of the channels; `grey` gives their luma (ITU-R
            BT.601), in as many equal channels as the model takes.
        resize: (height, width) that the image is stretched to.
        mode: of the resizing: `bilinear`, `bicubic` (both antialiased) or `nearest`. Bicubic values
            are clipped to [0, 1].
        crop: (height, width) of the middle that is kept.
        pad: (height, width) of the canvas in whose middle the image is put.
        fill: value of the canvas.
        mean, std: one number, or one a channel; empty: no normalisation.

    Raises:
        InvalidSpec: for numbers out of range. On the first use, where the changed stimuli do
            not have the shape that the model takes.
    """

    kind: ClassVar[str] = "transform"
    changes_answers: ClassVar[bool] = True

    stimulus_shape: tuple[int, ...] = ()
    channels: Literal["same", "bgr", "grey"] = "same"
    resize: tuple[int, ...] = ()
    mode: Mode = "bilinear"
    crop: tuple[int, ...] = ()
    pad: tuple[int, ...] = ()
    fill: float = 0.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("stimulus_shape", "resize", "crop", "pad", "mean", "std"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        shape = self.stimulus_shape
        fits = len(shape) in (0, 3) and all(n > 0 for n in shape)
        check(fits, "stimulus_shape", "(channels, height, width)", shape)
        for field in ("resize", "crop", "pad"):
            size = getattr(self, field)
            fits = len(size) in (0, 2) and all(n > 0 for n in size)
            check(fits, field, "(height, width)", size)
        check(self.channels in ("same", "bgr", "grey"), "channels", "bgr or grey", self.channels)
        check(self.mode in MODES, "mode", ", ".join(MODES), self.mode)
        check(0 <= self.fill <= 1, "fill", "0 to 1", self.fill)
        check(all(s > 0 for s in self.std), "std", "positive numbers", self.std)

    def around(self, info: OracleInfo) -> OracleInfo:
        shape = self.stimulus_shape or info.stimulus_shape
        if len(shape) != 3 or len(info.stimulus_shape) != 3:
            raise InvalidSpec(
                "transform: expected a model of images (channels, height, width), got one of "
                f"stimuli of shape {info.stimulus_shape}",
                field="stimulus_shape",
            )
        made = tuple(self._made(torch.zeros(1, *shape), info.stimulus_shape[0]).shape[1:])
        if made != info.stimulus_shape:
            raise InvalidSpec(
                f"transform: stimuli of shape {shape} become {made}, the model takes "
                f"{info.stimulus_shape}; set stimulus_shape, resize, crop or pad so that they fit",
                field="stimulus_shape",
            )
        return replace(info, stimulus_shape=shape)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        check_stimuli(self.describe(), stimuli)
        return self.ask(self._made(stimuli, self.inner.describe().stimulus_shape[0]), units)

    def _made(self, images: torch.Tensor, channels: int) -> torch.Tensor:
        """The model's input for `images` (N, C, H, W); the model takes `channels` channels."""
        images = self._coloured(images.to(torch.float32), channels)
        if self.resize:
            images = resized(images, self.resize, self.mode)
        if self.crop:
            images = center_crop(images, self.crop)
        if self.pad:
            images = self._padded(images)
        if self.mean or self.std:
            images = (images - self._numbers("mean", 0.0, images)) / self._numbers(
                "std", 1.0, images
            )
        return images

    def _coloured(self, images: torch.Tensor, channels: int) -> torch.Tensor:
        if self.channels == "bgr":
            return images.flip(1)
        if self.channels == "same":
            return images
        check(images.shape[1] in (1, 3), "channels", "1 or 3 for grey", images.shape[1])
        if images.shape[1] == 3:
            images = luma(images)
        return images.expand(-1, channels, -1, -1)

    def _padded(self, images: torch.Tensor) -> torch.Tensor:
        height, width = (size - have for size, have in zip(self.pad, images.shape[2:], strict=True))
        fits = height >= 0 and width >= 0
        check(fits, "pad", f"at least the image's {tuple(images.shape[2:])}", self.pad)
        sides = (width // 2, width - width // 2, height // 2, height - height // 2)
        return functional.pad(images, sides, value=self.fill)

    def _numbers(self, field: str, default: float, images: torch.Tensor) -> torch.Tensor:
        numbers = getattr(self, field) or (default,)
        fits = len(numbers) in (1, images.shape[1])
        check(fits, field, f"1 or {images.shape[1]} numbers", numbers)
        return images.new_tensor(numbers).reshape(1, -1, 1, 1)
