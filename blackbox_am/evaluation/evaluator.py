"""The contract of an evaluator, which takes rows and returns a future of their observation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.observation import Observation
from blackbox_am.errors import ShapeMismatch


@dataclass(frozen=True)
class Rows:
    """Candidates to be measured.

    Attributes:
        latents: (R, D), R at least 1.
        targets: (R,) int64, the number of each row's target in the study.
        rows: (R,) int64, the number of each row in its target's generation.
        generation: of the study, for oracles that transform stimuli anew in each generation.
        apart: whether such oracles make draws of its own for each row, because the rows are
            repeated measurements.
    """

    latents: torch.Tensor
    targets: NDArray[np.int64]
    rows: NDArray[np.int64]
    generation: int = 0
    apart: bool = False

    @classmethod
    def of(
        cls,
        latents: torch.Tensor,
        targets: Sequence[int],
        wanted: NDArray[np.bool_] | None = None,
        *,
        generation: int = 0,
        apart: bool = False,
    ) -> Rows:
        """The wanted rows of a generation, target by target.

        Args:
            latents: (K, P, D).
            targets: the number of each of the K targets.
            wanted: (K, P) bool, the rows to measure; None for all rows.
            generation, apart: as the attributes.

        Raises:
            ShapeMismatch: for latents of another shape, or where no row is wanted.
        """
        if latents.ndim != 3 or len(latents) != len(targets) or not latents.numel():
            raise ShapeMismatch(
                f"latents: expected shape ({len(targets)}, P, D) for {len(targets)} targets, "
                f"got {tuple(latents.shape)}",
                field="latents",
            )
        shape = tuple(latents.shape[:2])
        mask = np.ones(shape, bool) if wanted is None else wanted
        places, rows = np.nonzero(mask)
        if not len(places):
            raise ShapeMismatch("latents: expected one wanted row or more, got none")
        flat = latents.flatten(0, 1)
        if len(places) < len(flat):
            flat = flat[torch.from_numpy(places * shape[1] + rows).to(flat.device)]
        return cls(flat, np.asarray(targets, np.int64)[places], rows, generation, apart)

    def __len__(self) -> int:
        return len(self.latents)


class Evaluator(Protocol):
    """Measures candidates of one study."""

    @property
    def billable(self) -> bool:
        """Whether a row costs something, so that it must be noted before it is measured."""

    def submit(self, rows: Rows, *, gradients: bool = False) -> Future[Observation]:
        """Submits `rows` to be measured.

        Args:
            rows: the candidates.
            gradients: whether to compute gradients of the scores with respect to the latents.

        Returns:
            A future of their observation, in the order of `rows`, with its usage. The future may be
            done already, because an evaluator may measure on the caller's thread.

        Raises:
            ShapeMismatch: for latents of another shape or dtype.
            GradientUnavailable: if gradients are requested and not available.
            OracleError: from the future, if the oracle fails for a whole batch.
        """
