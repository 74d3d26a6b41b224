"""Distances from the inputs that a generator works around."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from blackbox_am.core.measure import Measure, Rendered, references_of

_ORDERS = {
    "stimulus.l1_distance": 1.0,
    "stimulus.l2_distance": 2.0,
    "stimulus.linf_distance": math.inf,
}


class Distances(Measure):
    """`stimulus.l1_distance`, `stimulus.l2_distance`, `stimulus.linf_distance`: norms of the
    difference between a stimulus and its target's input. `stimulus.l0_distance`: how many places
    differ (pixels with all their channels, samples, columns); it has no gradient.

    They need a generator around inputs, such as `perturbation`.
    """

    names: ClassVar[tuple[str, ...]] = (*_ORDERS, "stimulus.l0_distance")
    compares: ClassVar[bool] = True

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        change = rendered.stimuli.to(torch.float32) - references_of(rendered).to(rendered.stimuli)
        if name == "stimulus.l0_distance":
            places = (change != 0).any(1) if change.ndim > 2 else change != 0
            return places.flatten(1).sum(1).to(torch.float32)
        distances: torch.Tensor = torch.linalg.vector_norm(
            change.flatten(1), ord=_ORDERS[name], dim=1
        )
        return distances
