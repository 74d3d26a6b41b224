"""Norms of stimuli and latents."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from blackbox_am.core.measure import Measure, Rendered

_ORDERS = {
    "stimulus.l1": 1.0,
    "stimulus.l2": 2.0,
    "stimulus.l6": 6.0,
    "stimulus.linf": math.inf,
}


class Norms(Measure):
    """`stimulus.l1`, `stimulus.l2`, `stimulus.l6`, `stimulus.linf`: norms of the stimulus, all its
    values in [0, 1] as one vector. `latent.norm`: the Euclidean norm of the latent.

    The norm of order 6 is the bound on the range of values of Mahendran and Vedaldi,
    "Visualizing deep convolutional neural networks using natural pre-images" (2016).
    """

    names: ClassVar[tuple[str, ...]] = (*_ORDERS, "latent.norm")

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        latent = name == "latent.norm"
        values = rendered.latents if latent else rendered.stimuli
        order = 2.0 if latent else _ORDERS[name]
        norms: torch.Tensor = torch.linalg.vector_norm(
            values.flatten(1).to(torch.float32), ord=order, dim=1
        )
        return norms
