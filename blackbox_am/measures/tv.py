"""Total variation."""

from __future__ import annotations

from typing import ClassVar

import torch

from blackbox_am.core.measure import Measure, Rendered, check_neighbours, differences


class TotalVariation(Measure):
    """`stimulus.tv`: the mean absolute difference of neighbouring values.

    Anisotropic total variation (Rudin, Osher and Fatemi, 1992), divided by the number of pairs:
    0 for a constant stimulus, at most 1. Neighbours lie along time, or along height and width.
    """

    names: ClassVar[tuple[str, ...]] = ("stimulus.tv",)

    def check(self, stimulus_shape: tuple[int, ...]) -> None:
        check_neighbours("stimulus.tv", stimulus_shape)

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        del name
        return differences(rendered.stimuli.to(torch.float32)).abs().mean(1)
