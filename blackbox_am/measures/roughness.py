"""Roughness."""

from __future__ import annotations

from typing import ClassVar

import torch

from blackbox_am.core.measure import Measure, Rendered, check_neighbours, differences


class Roughness(Measure):
    """`stimulus.roughness`: the mean squared difference of neighbouring values.

    0 for a constant stimulus, at most 1. Neighbours lie along time, or along height and width.
    It punishes single steps more than `stimulus.tv` does, and suits series.
    """

    names: ClassVar[tuple[str, ...]] = ("stimulus.roughness",)

    def check(self, stimulus_shape: tuple[int, ...]) -> None:
        check_neighbours("stimulus.roughness", stimulus_shape)

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        del name
        return differences(rendered.stimuli.to(torch.float32)).square().mean(1)
