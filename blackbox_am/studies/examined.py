"""The candidates of the open generation that were rendered for clients, with their measures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blackbox_am.evaluation import Examiner, Rows
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.decisions import ToldRows
from blackbox_am.studies.scoring import Bools, Measured
from blackbox_am.studies.study import Study

Stimuli = NDArray[np.float32]


class Examined:
    """Examines candidates of one generation, each once.

    A candidate whose stimulus is not finite is never given to clients: the study itself records it
    as failed. Measures of the stimulus are computed here and added to the clients' measurements.
    """

    def __init__(self, examiner: Examiner, generation: Generation, quantities: int) -> None:
        targets, rows = generation.wanted.shape
        self._examiner = examiner
        self._generation = generation
        self._seen = Measured.nothing(targets, rows, quantities)
        self._kept: dict[tuple[int, ...], Stimuli] = {}

    def unrendered(self, wanted: Bools, *, stimuli: bool = False) -> ToldRows | None:
        """Failed measurements for the `wanted` (A, P) candidates whose stimuli are not finite; None
        if all stimuli are finite.

        Args:
            wanted: the candidates.
            stimuli: whether to keep the stimuli for `stimuli`.
        """
        self._examine(wanted, stimuli=stimuli)
        places, rows = np.nonzero(wanted & ~self._seen.rendered)
        if not len(places):
            return None
        targets = np.asarray(self._generation.targets, np.int64)[places]
        values = self._seen.values[places, rows]
        return ToldRows(self._generation.index, targets, rows, values, np.zeros(len(places), bool))

    def complete(self, study: Study, told: ToldRows) -> ToldRows:
        """`told` with the measures of its candidates, if they belong to the open generation."""
        places = study.places(told.targets)
        known = (places >= 0) & (told.rows >= 0) & (told.rows < self._seen.told.shape[1])
        if told.generation != self._generation.index or not known.any():
            return told
        wanted = np.zeros_like(self._seen.told)
        wanted[places[known], told.rows[known]] = True
        self._examine(wanted)
        values = told.values.copy()
        seen = self._seen.values[places[known], told.rows[known]]
        values[known] = np.where(np.isnan(values[known]), seen, values[known])
        return ToldRows(told.generation, told.targets, told.rows, values, told.rendered)

    def stimuli(self, places: NDArray[np.int64], rows: NDArray[np.int64]) -> Stimuli | None:
        """(N, *stimulus) the stimuli of candidates, of which this forgets all; None unless all of
        them were rendered since the last call.
        """
        kept, self._kept = self._kept, {}
        found = [kept.get(key) for key in zip(places.tolist(), rows.tolist(), strict=True)]
        known = [one for one in found if one is not None]
        return np.stack(known) if known and len(known) == len(found) else None

    def _examine(self, wanted: Bools, *, stimuli: bool = False) -> None:
        new = wanted & ~self._seen.told
        if not new.any():
            return
        found = self._examiner.examine(
            Rows.of(self._generation.latents, self._generation.targets, new), stimuli=stimuli
        )
        if found.stimuli is not None:
            keys = zip(*(index.tolist() for index in np.nonzero(new)), strict=True)
            self._kept |= dict(zip(keys, found.stimuli, strict=True))
        self._seen.values[new], self._seen.rendered[new] = found.values, found.rendered
        self._seen.told[new] = True
