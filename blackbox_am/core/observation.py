"""What one measurement of candidates brought: plain data, and what the journal keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.types import Accounting, FloatArray

if TYPE_CHECKING:
    import torch

NOT_A_NUMBER = "nan"
INFINITE = "infinite"
NOT_RENDERED = "stimulus not finite"
FAILURES = (NOT_A_NUMBER, INFINITE, NOT_RENDERED)
"""Why a row can fail; `failures` counts from 1 in this order."""


@dataclass(frozen=True)
class Observation:
    """Measured rows.

    Attributes:
        targets: (R,) int64, the target of each row.
        rows: (R,) int64, the place of each row in its target's generation.
        quantities: of each target of the study, what was measured: the names of the columns.
        values: (R, U) float64. Each row has its own target's quantities, then nan. An oracle's
            infinities are kept; nan is what could not be measured.
        rendered: (R,) bool: false where the stimulus was not finite, so that nothing was measured.
        usage: what was asked of the oracle for them.
        gradients: (R, D) of each row's score with respect to its latent, on the device of the
            latents; None where they were not asked for. Never journalled.
    """

    targets: NDArray[np.int64]
    rows: NDArray[np.int64]
    quantities: tuple[tuple[str, ...], ...]
    values: FloatArray
    rendered: NDArray[np.bool_]
    usage: Accounting = field(default_factory=Accounting)
    gradients: torch.Tensor | None = None


def failures(
    values: FloatArray, rendered: NDArray[np.bool_], own: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Why each row has no score: 0 where it has one, else a position in `FAILURES`, from 1.

    Args:
        values: (..., U).
        rendered: (...), whether the stimulus was finite.
        own: (..., U), which columns belong to the row's target.
    """
    codes = np.zeros(values.shape[:-1], np.uint8)
    codes[(np.isinf(values) & own).any(-1)] = 1 + FAILURES.index(INFINITE)
    codes[(np.isnan(values) & own).any(-1)] = 1 + FAILURES.index(NOT_A_NUMBER)
    codes[~rendered] = 1 + FAILURES.index(NOT_RENDERED)
    return codes


def count_by_reason(codes: NDArray[np.uint8]) -> dict[str, int]:
    """How many rows failed, by reason, from the codes of `failures`."""
    counts = np.bincount(codes.ravel(), minlength=len(FAILURES) + 1)[1:]
    return {reason: int(n) for reason, n in zip(FAILURES, counts, strict=True) if n}


def in_words(counts: dict[str, int]) -> str:
    """How many rows failed, by reason: `3 infinite, 1 nan`."""
    return ", ".join(f"{counts[reason]} {reason}" for reason in FAILURES if counts.get(reason))
