"""Repeatable noise: a seed for each presentation of a stimulus."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter

import torch

from blackbox_am.core.rng import position_seed

_COUNTING = threading.Lock()


def presentation_seeds(stimuli: torch.Tensor, seen: Counter[bytes], seed: int) -> list[int]:
    """A seed for each of `stimuli` (N, ...), by its values and the number of its presentations.

    Args:
        stimuli: (N, ...).
        seen: number of presentations of each stimulus; counted up here.
        seed: of the noise.
    """
    seeds = []
    for row in stimuli.detach().to("cpu", torch.float32).numpy():
        key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        with _COUNTING:
            times = seen[key]
            seen[key] += 1
        seeds.append(position_seed(seed, f"noise|{key.hex()}", times, 0))
    return seeds
