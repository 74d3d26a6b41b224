"""The random numbers of models that draw from the generators of the process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Seeds the global generators of Python, numpy and torch, and restores their states afterwards.

    A study itself draws from streams of its own. A model with dropout, and a noisy function, draw
    from the global generators: their numbers follow from the seed of the study, and the caller goes
    on with the numbers that it would have had without the study.

    Args:
        seed: of the study.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  # the user's code may use them
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
