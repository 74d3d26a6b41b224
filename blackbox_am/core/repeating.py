"""Whether a model answers a stimulus the same way again, and beside other stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

import torch

TOLERANCE = 1e-5
"""Of the largest value of a unit: kernels may differ in last bits by the address of a batch."""


class Repeats(Enum):
    """When a stimulus gets the same activations again."""

    ALWAYS = "always"
    ALONE = "alone"
    """Only where it is alone in its batch, or has the same neighbours."""
    NEVER = "never"


_afresh: ContextVar[bool] = ContextVar("afresh", default=False)


@contextmanager
def afresh() -> Iterator[None]:
    """Within it, caches pass questions on to the model, which is being measured."""
    token = _afresh.set(True)
    try:
        yield
    finally:
        _afresh.reset(token)


def asks_afresh() -> bool:
    """Whether the model itself has to be asked, whatever is known of its answers."""
    return _afresh.get()


def repeats(observe: Callable[[torch.Tensor], torch.Tensor], stimuli: torch.Tensor) -> Repeats:
    """Asks for the first of three stimuli beside the second, and then beside the third.

    Where the two answers differ, it is asked for alone, twice. Answers with nan tell nothing.

    Args:
        observe: (N, U) activations of stimuli (N, *stimulus).
        stimuli: (3, *stimulus), all different.
    """
    beside = [observe(stimuli[[0, other]]) for other in (1, 2)]
    if _alike(beside[0][0], beside[1][0]):
        return Repeats.ALWAYS
    alone = [observe(stimuli[:1]) for _ in range(2)]
    return Repeats.ALONE if _alike(alone[0][0], alone[1][0]) else Repeats.NEVER


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    known = one.isfinite() & other.isfinite()
    one, other = one[known].double(), other[known].double()
    scale = torch.maximum(one.abs(), other.abs())
    return bool(((one - other).abs() <= TOLERANCE * scale).all())
