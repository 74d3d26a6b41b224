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
_FROM_GREY = {
    "stimulus.l1_grey": 1.0,
    "stimulus.l2_grey": 2.0,
    "stimulus.l6_grey": 6.0,
}
GREY = 0.5


class Norms(Measure):
    """`stimulus.l1`, `stimulus.l2`, `stimulus.l6`, `stimulus.linf`: norms of the stimulus, all its
    values in [0, 1] as one vector. `stimulus.l1_grey`, `stimulus.l2_grey`, `stimulus.l6_grey`:
    norms of its difference from mid grey, 0.5 everywhere. `latent.norm`: the Euclidean norm of the
    latent.

    As penalties, the distances from mid grey keep stimuli free of contrast that the model does not
    need. The one of order 1 is the penalty `L1(constant=.5)` of Lucid. The sixth power of the one
    of order 6 is the bound on the range of values of A. Mahendran and A. Vedaldi, "Visualizing deep
    convolutional neural networks using natural pre-images" (2016), for images around 0; here the
    norm itself is measured.
    """

    names: ClassVar[tuple[str, ...]] = (*_ORDERS, *_FROM_GREY, "latent.norm")

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        latent = name == "latent.norm"
        values = (rendered.latents if latent else rendered.stimuli).flatten(1).to(torch.float32)
        if name in _FROM_GREY:
            values = values - GREY
        order = 2.0 if latent else (_ORDERS | _FROM_GREY)[name]
        norms: torch.Tensor = torch.linalg.vector_norm(values, ord=order, dim=1)
        return norms
