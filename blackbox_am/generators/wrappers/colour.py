"""Conversion of images between grey and colour, and to another order of the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.images import luma
from blackbox_am.core.parameters import check

_CHANNELS = {"grey": (3, 1), "rgb": (1, 3), "bgr": (3, 3)}
"""Number of channels before and after the conversion."""


@dataclass(frozen=True)
class Colour(GeneratorWrapper):
    """Changes the channels of images to those that a model takes.

    Attributes:
        channels: `grey`: the luma of three channels (ITU-R BT.601), as one channel. `rgb`: one
            channel, as three equal ones. `bgr`: three channels in the opposite order.

    Raises:
        InvalidSpec: for another value of `channels`; when the stimulus shape is read, if the inner
            images have other channels.
    """

    kind: ClassVar[str] = "colour"

    channels: Literal["grey", "rgb", "bgr"] = "grey"

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.channels in _CHANNELS, "channels", ", ".join(_CHANNELS), self.channels)

    def around(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        before, after = _CHANNELS[self.channels]
        fits = len(shape) == 3 and shape[0] == before
        check(
            fits,
            "channels",
            f"a generator of images ({before}, height, width) for {self.channels!r}",
            shape,
        )
        return (after, *shape[1:])

    def undone(self, stimuli: torch.Tensor) -> torch.Tensor:
        if self.channels == "grey":  # the same luma, without colour
            return stimuli.expand(-1, 3, -1, -1)
        return luma(stimuli) if self.channels == "rgb" else stimuli.flip(1)

    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        if self.channels == "grey":
            return luma(stimuli)
        if self.channels == "rgb":
            return stimuli.expand(-1, 3, -1, -1)
        return stimuli.flip(1)
