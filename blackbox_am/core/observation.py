"""The result of one measurement of candidates: plain data, which the journal stores."""

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
"""The reasons for a failed row; the codes of `failures` count from 1 in this order."""


@dataclass(frozen=True)
class Observation:
    """Measured rows.

    Attributes:
        targets: (R,) int64, the target of each row.
        rows: (R,) int64, the row number of each row in its target's generation.
        quantities: for each target of the study, the names of the columns of `values`.
        values: (R, U) float64. A row has the quantities of its own target; further columns are nan.
            Infinite values of an oracle are stored; nan means that the measurement failed.
        rendered: (R,) bool: false if the stimulus was not finite and therefore not measured.
        usage: accounting of the oracle's calls for these rows.
        gradients: (R, D) gradient of each row's score with respect to its latent, on the device of
            the latents; None if not requested. The journal never stores gradients.
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
    """The failure code of each row: 0 if it has a score, else a position in `FAILURES`, from 1.

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
    """The number of failed rows by reason, from the codes of `failures`."""
    counts = np.bincount(codes.ravel(), minlength=len(FAILURES) + 1)[1:]
    return {reason: int(n) for reason, n in zip(FAILURES, counts, strict=True) if n}


def in_words(counts: dict[str, int]) -> str:
    """The number of failed rows by reason as a text: `3 infinite, 1 nan`."""
    return ", ".join(f"{counts[reason]} {reason}" for reason in FAILURES if counts.get(reason))
