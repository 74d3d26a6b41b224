"""Tests whether a model repeats its answer to a stimulus, also beside other stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING

from blackbox_am.errors import OracleFailed

if TYPE_CHECKING:  # the command line imports this module, and starts without torch
    import torch

TOLERANCE = 1e-5
"""Tolerance as a share of a unit's largest value: the last bits of kernels may depend on the
address of a batch.
"""


_AGAIN = 4
"""Further answers that are compared if two answers to a stimulus alone agree."""


class Repeats(Enum):
    """The conditions under which a stimulus has the same activations again."""

    ALWAYS = "always"
    ALONE = "alone"
    """Only if the stimulus is alone in its batch, or has the same neighbours."""
    NEVER = "never"


_afresh: ContextVar[bool] = ContextVar("afresh", default=False)


@contextmanager
def afresh() -> Iterator[None]:
    """Inside this context, caches pass requests on to the model, because the model is being
    tested.
    """
    token = _afresh.set(True)
    try:
        yield
    finally:
        _afresh.reset(token)


def asks_afresh() -> bool:
    """Whether the model itself must be called, even if its answers are known."""
    return _afresh.get()


def repeats(observe: Callable[[torch.Tensor], torch.Tensor], stimuli: torch.Tensor) -> Repeats:
    """Observes the first of three stimuli beside the second, and then beside the third.

    If the two answers differ, the first stimulus is observed alone, twice, and more often if these
    answers agree. An oracle that refuses a stimulus alone does not repeat its answers. Answers with
    nan are not conclusive.

    Args:
        observe: (N, U) activations of stimuli (N, *stimulus).
        stimuli: (3, *stimulus), all different.
    """
    beside = [observe(stimuli[[0, other]]) for other in (1, 2)]
    if _alike(beside[0][0], beside[1][0]):
        return Repeats.ALWAYS
    try:
        alone = [observe(stimuli[:1]) for _ in range(2)]
        if _alike(alone[0][0], alone[1][0]):
            # Dropout answers with the same 0 twice now and then.
            alone += [observe(stimuli[:1]) for _ in range(_AGAIN)]
    except OracleFailed:  # normalisation over the batch refuses one row
        return Repeats.NEVER
    same = all(_alike(alone[0][0], other[0]) for other in alone[1:])
    return Repeats.ALONE if same else Repeats.NEVER


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    known = one.isfinite() & other.isfinite()
    one, other = one[known].double(), other[known].double()
    scale = one.abs().maximum(other.abs())
    return bool(((one - other).abs() <= TOLERANCE * scale).all())
