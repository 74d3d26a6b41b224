"""Images, or time series, of another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn import functional

from blackbox_am.core.generator import bounded
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.images import MODES, Mode, center_crop, resized
from blackbox_am.core.parameters import check

FITS = ("stretch", "cover", "crop")


@dataclass(frozen=True)
class Resize(GeneratorWrapper):
    """Makes images (channels, height, width), or series (channels, steps), of a model's size.

    Attributes:
        size: (height, width) of the resized images, or (steps,) of the resized series.
        fit: `stretch`: each direction by its own factor. `cover`: both directions by one
            factor, so that the size is covered, and then the middle is kept. `crop`: the middle
            is kept without a change of scale.
        mode: `bilinear`, `bicubic` (both antialiased) or `nearest`. Bicubic values are
            clipped to [0, 1].

    Raises:
        InvalidSpec: for an invalid size, or an unknown word; when the stimulus shape is read, if
            the inner stimuli have another number of axes, or are too small to be cropped.
    """

    kind: ClassVar[str] = "resize"

    size: tuple[int, ...] = (32, 32)
    fit: Literal["stretch", "cover", "crop"] = "stretch"
    mode: Mode = "bilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "size", tuple(self.size))
        positive = len(self.size) in (1, 2) and all(n > 0 for n in self.size)
        check(positive, "size", "(height, width) or (steps,)", self.size)
        check(self.fit in FITS, "fit", ", ".join(FITS), self.fit)
        check(self.mode in MODES, "mode", ", ".join(MODES), self.mode)

    def around(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        expected = "images (channels, height, width)"
        if len(self.size) == 1:
            expected = "series (channels, steps)"
        same_axes = len(shape) == len(self.size) + 1
        check(same_axes, "size", f"a generator of {expected} for the size {self.size}", shape)
        if self.fit == "crop":
            large = all(n <= m for n, m in zip(self.size, shape[1:], strict=True))
            check(large, "size", f"at most the size of the images within, {shape[1:]}", self.size)
        return (shape[0], *self.size)

    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        # A series is an image of height 1.
        series = len(self.size) == 1
        images = stimuli.unsqueeze(2) if series else stimuli
        target = (1, *self.size) if series else self.size
        between = self._between(tuple(images.shape[2:]), target)
        if between != images.shape[2:]:
            images = bounded(resized(images, between, self.mode))
        images = center_crop(images, target)
        return images.squeeze(2) if series else images

    def undone(self, stimuli: torch.Tensor) -> torch.Tensor:
        """Stretched back; what `cover` and `crop` cut off is filled with the nearest edge."""
        series = len(self.size) == 1
        images = stimuli.unsqueeze(2) if series else stimuli
        inner = tuple(self.inner.stimulus_shape)
        whole = (1, *inner[1:]) if series else inner[1:]
        between = self._between(whole, tuple(images.shape[2:]))
        tall, wide = (new - old for new, old in zip(between, images.shape[2:], strict=True))
        sides = (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)
        images = bounded(resized(functional.pad(images, sides, mode="replicate"), whole, self.mode))
        return images.squeeze(2) if series else images

    def _between(self, size: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
        """The size that images of `size` are stretched to, before the middle is taken."""
        if self.fit == "crop":
            return size
        if self.fit == "stretch":
            return target
        scale = max(new / old for new, old in zip(target, size, strict=True))
        pairs = zip(target, size, strict=True)
        return tuple(max(new, round(old * scale)) for new, old in pairs)
