"""The history of a study without its whole journal: curves, and best candidates of the past.

The time of these functions hardly depends on the length of the journal: they read the numbers of
the events that closed generations, and decode only some of these events.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blackbox_am.core.natural import standing
from blackbox_am.core.store import Store
from blackbox_am.core.types import Best, CandidateId, FloatArray
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies.events import BudgetChanged, GenerationClosed, decode, kind_of
from blackbox_am.studies.study import Study


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
        # best candidates has a number too.
        index = min(generation, len(self) - 1)
        while index >= 0 and self[index].generation > generation:
            index -= 1
        return index

    def last_with(self, target: int, index: int) -> int:
        """The last place up to `index` at which a target took part; -1 for none."""
        for start in reversed(self._starts[: bisect_right(self._starts, index)]):
            if target in self[start].targets:
                return self._last_between(target, start, index)
            index = start - 1
        return -1

    def best_at(self, target: int, index: int) -> float:
        """The best score of a target as of a place; nan for none."""
        last = self.last_with(target, index)
        if last < 0:
            return math.nan
        event = self[last]
        return float(event.best_so_far.numpy()[event.targets.index(target)])

    def found_at(self, target: int, index: int) -> int:
        """The place of the best candidate of a target as of a place; -1 for none."""
        best, low, high = self.best_at(target, index), -1, self.last_with(target, index)
        if math.isnan(best) or target in self[high].improved:
            return -1 if math.isnan(best) else high
        while high - low > 1:  # best scores never fall, except at a success, which improves
            middle = (low + high) // 2
            if self.best_at(target, middle) == best:
                high = middle
            else:
                low = middle
        return high

    def _last_between(self, target: int, low: int, high: int) -> int:
        """The last place of a target that takes part at `low`, without an extension up to `high`: a
        finished target then takes no part any more.
        """
        while low < high:
            middle = (low + high + 1) // 2
            if target in self[middle].targets:
                low = middle
            else:
                high = middle - 1
        return low


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
    best, mean, alone = (np.full((len(targets), len(indices)), np.nan) for _ in range(3))
    for column, index in enumerate(indices):
        event = closed[index]
        places = {target: place for place, target in enumerate(event.targets)}
        so_far, means = event.best_so_far.numpy(), event.mean_scores.numpy()
        bests = event.best_scores.numpy()
        for row, target in enumerate(targets):
            place = places.get(target)
            if place is None:  # the target is finished
                best[row, column] = closed.best_at(target, index)
            else:
                best[row, column], mean[row, column] = so_far[place], means[place]
                alone[row, column] = bests[place]
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
