"""Noise that can be repeated: a seed for each presentation of a stimulus."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter

import torch

from blackbox_am.core.rng import position_seed

_COUNTING = threading.Lock()


def presentation_seeds(stimuli: torch.Tensor, seen: Counter[bytes], seed: int) -> list[int]:
    """A seed for each of `stimuli` (N, ...), by what it shows and how often that was seen.

    Args:
        seen: how often each stimulus was, counted up here.
        seed: that of the noise.
    """
    seeds = []
    for row in stimuli.detach().to("cpu", torch.float32).numpy():
        key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        with _COUNTING:
            times = seen[key]
            seen[key] += 1
        seeds.append(position_seed(seed, f"noise|{key.hex()}", times, 0))
    return seeds
