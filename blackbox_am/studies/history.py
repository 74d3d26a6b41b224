"""The history of a study without its whole journal: curves, and best candidates of the past.

The time of these functions hardly depends on the length of the journal: they read the numbers of
the events that closed generations, and decode only some of these events.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.natural import standing
from blackbox_am.core.store import Store
from blackbox_am.core.types import Best, CandidateId, FloatArray
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies.events import BudgetChanged, GenerationClosed, decode, kind_of
from blackbox_am.studies.study import Study

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Curves:
    """The course of a search in G of its generations, for K targets.

    Attributes:
        generations: (G) numbers of the generations, ascending.
        search_rows: (G) rows that the search measured up to the end of each.
        targets: (K) the targets.
        best_so_far: (K, G) best score of this and all earlier generations; nan before the first.
        mean_scores, best_scores: (K, G) of the generation alone; nan if the target took no part.
        closed_generations: number of generations of which the G were chosen.
        sequences: (G) number of the event that closed each.
    """

    generations: tuple[int, ...]
    search_rows: tuple[int, ...]
    targets: tuple[int, ...]
    best_so_far: FloatArray
    mean_scores: FloatArray
    best_scores: FloatArray
    closed_generations: int
    sequences: tuple[int, ...]


class ClosedGenerations:
    """The closed generations of a study, by their place among the closed generations.

    Args:
        store: the store.
        study_id: the study.

    Attributes:
        places: the numbers of the events that closed them, in order.

    Raises:
        NotFound: if the study does not exist.
    """

    def __init__(self, store: Store, study_id: str) -> None:
        self._store = store
        self._study_id = study_id
        self.places = store.places(study_id, [kind_of(GenerationClosed)])
        extended = store.places(study_id, [kind_of(BudgetChanged)])
        starts = {bisect_right(self.places, sequence) for sequence in extended} | {0}
        self._starts = sorted(start for start in starts if start < len(self.places))
        self._read: dict[int, GenerationClosed] = {}
        self._parts: dict[int, frozenset[int]] = {}

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> GenerationClosed:
        if index not in self._read:
            self.load([index])
        return self._read[index]

    def load(self, indices: Sequence[int]) -> None:
        """Reads several generations at once.

        Raises:
            StoreCorrupt: if one is missing or damaged.
        """
        wanted = {self.places[index]: index for index in indices if index not in self._read}
        for record in self._store.read_at(self._study_id, sorted(wanted)):
            event = decode(record.body)
            assert isinstance(event, GenerationClosed)  # the store selects by kind
            self._read[wanted.pop(record.sequence)] = event
        if wanted:
            raise StoreCorrupt(
                f"the journal of study {self._study_id!r} has a gap: event {min(wanted)} is "
                "missing; restore the store from a backup, or delete the study"
            )

    def last_at(self, generation: int) -> int:
        """The place of the last closed generation with a number up to `generation`; -1 for none."""
        # Numbers of generations can only be larger than their places, because each re-check of the
        # best candidates has a number too; without one they are equal.
        guess = min(generation, len(self) - 1)
        if guess < 0 or self[guess].generation <= generation:
            return guess
        return bisect_right(range(guess), generation, key=lambda at: self[at].generation) - 1

    def extended_between(self, first: int, last: int) -> bool:
        """Whether the budget was raised after the place `first`, up to `last`: finished targets may
        have gone on.
        """
        return bisect_right(self._starts, last) > bisect_right(self._starts, first)

    def last_with(self, targets: Iterable[int], index: int) -> dict[int, int]:
        """The last place up to `index` at which each target took part, of those that did.

        Each generation is looked at once for all targets.
        """
        found: dict[int, int] = {}
        left = set(targets)
        for start in reversed(self._starts[: bisect_right(self._starts, index)]):
            if not left:
                break
            here = left & self._part(start)
            self._last_between(here, start, index, found)
            left -= here
            index = start - 1
        return found

    def best_at(self, targets: Iterable[int], index: int) -> dict[int, float]:
        """The best score of each target as of a place; without those that never took part."""
        found = {}
        for target, place in self.last_with(targets, index).items():
            event = self[place]
            at = bisect_left(event.targets, target)
            found[target] = float(event.best_so_far.numpy()[at])
        return found

    def found_at(self, target: int, index: int) -> int:
        """The place of the best candidate of a target as of a place; -1 for none."""
        best, low = self._best(target, index), -1
        high = self.last_with([target], index).get(target, -1)
        if math.isnan(best) or target in self[high].improved:
            return -1 if math.isnan(best) else high
        while high - low > 1:  # best scores never fall, except at a success, which improves
            middle = (low + high) // 2
            if self._best(target, middle) == best:
                high = middle
            else:
                low = middle
        return high

    def _best(self, target: int, index: int) -> float:
        return self.best_at([target], index).get(target, math.nan)

    def _part(self, index: int) -> frozenset[int]:
        """The targets that took part at a place."""
        if index not in self._parts:
            self._parts[index] = frozenset(self[index].targets)
        return self._parts[index]

    def _last_between(self, targets: set[int], low: int, high: int, found: dict[int, int]) -> None:
        """Finds the last place of targets that take part at `low`, without an extension up to
        `high`: a finished target then takes no part any more.
        """
        if not targets:
            return
        if low == high:
            found |= dict.fromkeys(targets, low)
            return
        middle = (low + high + 1) // 2
        later = targets & self._part(middle)
        self._last_between(later, middle, high, found)
        self._last_between(targets - later, low, middle - 1, found)


def curves(
    store: Store, study_id: str, targets: Sequence[int], count: int, after: int = 0
) -> Curves:
    """The course of a search in at most `count` generations, always with the first and the last.

    Args:
        store, study_id: the study.
        targets: the targets.
        count: 2 or more.
        after: only generations that were closed by an event after this sequence number.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if an event is damaged.
    """
    closed = ClosedGenerations(store, study_id)
    first = bisect_right(closed.places, after)
    total = len(closed) - first
    chosen = np.unique(np.linspace(first, len(closed) - 1, min(count, total)).round().astype(int))
    indices = chosen.tolist() if total else []
    closed.load(indices)
    wanted = np.array(targets, np.int64)
    best, mean, alone = (np.full((len(targets), len(indices)), np.nan) for _ in range(3))
    before, took_part = -1, np.zeros(len(targets), bool)
    for column, index in enumerate(indices):
        event = closed[index]
        part, place = _places(wanted, event)
        best[part, column] = event.best_so_far.numpy()[place]
        mean[part, column] = event.mean_scores.numpy()[place]
        alone[part, column] = event.best_scores.numpy()[place]
        finished = ~part
        if column and not closed.extended_between(before, index):
            best[finished, column] = best[finished, column - 1]
            finished &= took_part  # its best score may have grown since the column before
        scores = closed.best_at(wanted[finished].tolist(), index)
        best[finished, column] = [scores.get(target, np.nan) for target in wanted[finished]]
        before, took_part = index, part
    return Curves(
        tuple(closed[index].generation for index in indices),
        tuple(closed[index].search_rows for index in indices),
        tuple(targets),
        best,
        mean,
        alone,
        total,
        tuple(closed.places[index] for index in indices),
    )


def _places(wanted: NDArray[np.int64], event: GenerationClosed) -> tuple[Mask, NDArray[np.int64]]:
    """Which of the targets took part in a generation, and the places of these in its arrays."""
    ordered = np.array(event.targets, np.int64)
    place = np.searchsorted(ordered, wanted)
    place[place == len(ordered)] = 0
    part = ordered[place] == wanted if len(ordered) else np.zeros(len(wanted), bool)
    return part, place[part]


def best_after(
    store: Store, study_id: str, study: Study, targets: Sequence[int], generation: int
) -> list[Best]:
    """The best candidate of each target as it stood when a generation was closed, by target.

    Targets without a score at that time are left out. The candidates have no measured quantities
    and no re-check.

    Args:
        store, study_id: the study.
        study: its state, for titles and natural images.
        targets: the targets.
        generation: a generation; the last closed one if it is later.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if an event is damaged.
    """
    closed = ClosedGenerations(store, study_id)
    last, found = closed.last_at(generation), []
    for target in sorted(targets) if last >= 0 else ():
        place = closed.found_at(target, last)
        if place >= 0:
            found.append(_best(study_id, study, target, closed[place]))
    return found


def _best(study_id: str, study: Study, target: int, event: GenerationClosed) -> Best:
    if target not in event.improved:
        raise StoreCorrupt(
            f"the best score of target {target} of study {study_id!r} changes at generation "
            f"{event.generation} without a candidate; restore the store from a backup"
        )
    place = event.improved.index(target)
    score, row = float(event.best_row_scores.numpy()[place]), int(event.best_rows.numpy()[place])
    natural = None if study.natural is None else standing(study.natural[target], score)
    return Best(
        target,
        str(study.targets[target].objective),
        score,
        CandidateId(study_id, event.generation, target, row),
        event.best_latents.numpy()[place],
        natural=natural,
    )
