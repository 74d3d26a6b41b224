"""Best candidates with their stimuli, and with the natural images that they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.generator import Generator
from blackbox_am.core.types import Best


def with_stimuli(best: Sequence[Best], generator: Generator) -> list[Best]:
    """`best`, each with its rendered stimulus."""
    if not best:
        return []
    latents = torch.from_numpy(np.stack([entry.latent for entry in best]))
    with torch.no_grad():
        targets = torch.tensor([entry.target for entry in best])
        stimuli = generator.render_targets(latents, targets).float().cpu().numpy()
    return [replace(entry, stimulus=s) for entry, s in zip(best, stimuli, strict=True)]


def with_natural(
    best: Sequence[Best], natural: Callable[[int], NDArray[np.float32] | None]
) -> list[Best]:
    """`best`, each with its natural image if the study has a baseline; `natural` returns the
    observed image of a number.
    """
    return [
        entry
        if entry.natural is None
        else replace(entry, natural_stimulus=natural(entry.natural.best_image))
        for entry in best
    ]
