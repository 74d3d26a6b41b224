"""What a study has shown: candidates, their latents and stimuli, and what was measured for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.types import CandidateId, FloatArray

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One measured candidate.

    Attributes:
        candidate: its place in the study.
        score: of the objective; nan if the measurement failed.
        quantities: names of the U quantities that were measured for its target.
        values: (U,) float64, what was measured; nan for a failed measurement.
        latent: (D,) float32, or int64 codes; None if latents were not requested.
        stimulus: (*stimulus,) float32 in [0, 1]; None if stimuli were not requested, or if the
            study searches a bare space.
        recheck: whether the row measured a best candidate again, after the search.
    """

    candidate: CandidateId
    score: float
    quantities: tuple[str, ...]
    values: FloatArray
    latent: NDArray[Any] | None = None
    stimulus: NDArray[Any] | None = None
    recheck: bool = False

    @property
    def activations(self) -> dict[str, float]:
        """What was measured, by the name of the quantity."""
        return dict(zip(self.quantities, self.values.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class ShownRows:
    """The N measured candidates of one generation, or a part of them, by target and row.

    Attributes:
        study_id: the study.
        generation: the generation.
        quantities: for each target of the study, the names of its quantities.
        targets, rows: (N,) int64, the place of each candidate.
        scores: (N,) float64, nan for a failed measurement.
        values: (N, U) float64; a row has the quantities of its own target, then nan.
        latents: (N, D); None if latents were not requested.
        stimuli: (N, *stimulus) float32 in [0, 1]; None if stimuli were not requested.
        recheck: whether the rows measured the best candidates again, after the search.
    """

    study_id: str
    generation: int
    quantities: tuple[tuple[str, ...], ...]
    targets: Places
    rows: Places
    scores: FloatArray
    values: FloatArray
    latents: NDArray[Any] | None = None
    stimuli: NDArray[Any] | None = None
    recheck: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, chosen: slice | NDArray[Any]) -> ShownRows:
        """The rows that a slice, a mask or places choose."""
        return replace(
            self,
            targets=self.targets[chosen],
            rows=self.rows[chosen],
            scores=self.scores[chosen],
            values=self.values[chosen],
            latents=None if self.latents is None else self.latents[chosen],
            stimuli=None if self.stimuli is None else self.stimuli[chosen],
        )

    def __iter__(self) -> Iterator[ShownRow]:
        for place, (target, row) in enumerate(
            zip(self.targets.tolist(), self.rows.tolist(), strict=True)
        ):
            names = self.quantities[target]
            yield ShownRow(
                CandidateId(self.study_id, self.generation, target, row),
                float(self.scores[place]),
                names,
                self.values[place, : len(names)],
                None if self.latents is None else self.latents[place],
                None if self.stimuli is None else self.stimuli[place],
                self.recheck,
            )
