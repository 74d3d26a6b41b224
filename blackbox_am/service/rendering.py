"""Latents to stimuli, for callers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.generator import Generator, check_latents

ROWS = 32
"""Rows a time: one batch shape, so that a stimulus does not depend on who else is rendered."""


def render(
    generator: Generator, latents: NDArray[Any], targets: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """(N, *stimulus) float32 in [0, 1], for latents (N, D).

    Args:
        generator: makes them.
        latents: (N, D).
        targets: of a study, the target of each row; the first of all where None.

    Raises:
        ShapeMismatch: for latents of another shape or dtype.
        InvalidInput: for values that are not in the generator's space.
    """
    tensor = torch.from_numpy(np.array(latents))
    if tensor.is_floating_point():
        tensor = tensor.float()  # what float32 cannot hold is refused as infinite
    check_latents(generator.space, tensor)
    if not len(tensor):
        return np.zeros((0, *generator.stimulus_shape), np.float32)
    with torch.no_grad():
        wanted = torch.tensor([0] * len(tensor) if targets is None else targets)
        stimuli = in_fixed_batches(generator.render_targets, tensor, ROWS, wanted)
    rendered: NDArray[np.float32] = stimuli.to("cpu", torch.float32).numpy()
    return rendered
