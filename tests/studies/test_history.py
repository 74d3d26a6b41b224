"""Curves of many targets are right, and read in a number of steps that grows with their number."""

import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

from blackbox_am.core.spec import ArrayData
from blackbox_am.studies import history
from blackbox_am.studies.events import BudgetChanged, GenerationClosed, entry, kind_of

NONE = ArrayData.of(np.zeros(0, np.int32))


class Journal:
    """A store of one study: events of generations with even numbers, and of raised budgets."""

    def __init__(self, parts, extended=()):
        rng = np.random.default_rng(0)
        best = np.full(1 + max(map(max, parts)), -np.inf)
        self.extended, self.generations, self.reads = extended, [], 0
        for part in parts:
            scores = rng.normal(size=len(part))
            best[list(part)] = np.maximum(best[list(part)], scores)
            self.generations.append((tuple(part), scores, best.copy()))

    def places(self, study_id, kinds):
        if kinds == [kind_of(BudgetChanged)]:
            return [2 * place + 1 for place in self.extended]
        assert kinds == [kind_of(GenerationClosed)]
        return list(range(2, 2 * len(self.generations) + 2, 2))

    def read_at(self, study_id, sequences):
        self.reads += len(sequences)
        return [
            SimpleNamespace(sequence=s, body=entry(self._event(s // 2 - 1)).body) for s in sequences
        ]

    def _event(self, number):
        part, scores, best = self.generations[number]
        return GenerationClosed(
            generation=number,
            targets=part,
            scores=ArrayData.of(scores[:, None]),
            checksum=b"",
            seconds=1.0,
            measured=NONE,
            best_scores=ArrayData.of(scores),
            mean_scores=ArrayData.of(scores),
            best_so_far=ArrayData.of(best[list(part)]),
            improved=(),
            best_rows=NONE,
            best_row_scores=ArrayData.of(np.zeros(0)),
            best_latents=ArrayData.of(np.zeros((0, 2), np.float32)),
        )


def finishing(targets, generations, seed=0):
    """Half of the targets finish, at any time."""
    ends = np.random.default_rng(seed).integers(1, generations, targets)
    ends[targets // 2 :] = generations
    return [
        [target for target in range(targets) if number < ends[target]]
        for number in range(generations)
    ]


@pytest.mark.parametrize("count", [2, 7, 60, 1000])
def test_finished_targets_keep_their_best(count):
    journal = Journal(finishing(40, 90))
    found = history.curves(journal, "a", range(40), count)
    assert len(found.generations) == min(count, 90)
    for column, number in enumerate(found.generations):
        part, scores, best = journal.generations[number]
        np.testing.assert_array_equal(found.best_so_far[:, column], best)
        alone = np.full(40, np.nan)
        alone[list(part)] = scores
        np.testing.assert_array_equal(found.best_scores[:, column], alone)


@pytest.mark.parametrize("count", [3, 10, 1000])
def test_targets_go_on_after_an_extension(count):
    """The budget is raised between two points of the curve, and targets finish again before the
    second.
    """
    first, second = finishing(20, 40, seed=1), finishing(20, 30, seed=2)
    journal = Journal([*first, *second], extended=[40])
    found = history.curves(journal, "a", [3, 7, 15], count, after=21)
    assert found.closed_generations == 60
    for column, number in enumerate(found.generations):
        best = journal.generations[number][2]
        np.testing.assert_array_equal(found.best_so_far[:, column], best[[3, 7, 15]])


def test_few_generations_are_read():
    """Those of the curve, and for each finished target those between two points."""
    journal = Journal(finishing(200, 600))
    history.curves(journal, "a", range(200), 100)
    assert journal.reads <= 600  # each one once at most


def test_finished_targets_cost_no_more_steps():
    """One target that goes on and 499 that finish, against 500 that go on."""
    rounds = range(100)
    longest = Journal([range(500) for _ in rounds])
    shorter = Journal([[t for t in range(500) if n <= t % 100 or t == 99] for n in rounds])

    def steps(journal):
        counted = Counter()
        sys.setprofile(lambda frame, event, argument: counted.update([event]))
        try:
            history.curves(journal, "a", range(500), 100)
        finally:
            sys.setprofile(None)
        return counted["call"] + counted["c_call"]

    assert steps(shorter) < 3 * steps(longest)


def test_the_last_generation_up_to_a_number(monkeypatch):
    """Re-checks take numbers, so that the number of a generation is larger than its place."""
    journal = Journal([[0]] * 1000)
    plain = journal._event

    def event(place):
        return replace(plain(place), generation=place + 500 * (place >= 300))

    monkeypatch.setattr(journal, "_event", event)
    closed = history.ClosedGenerations(journal, "a")
    found = [closed.last_at(number) for number in (10**6, 299, 950, 600, 0, -1)]
    assert found == [999, 299, 450, 299, 0, -1]  # the number at place 450 is 950
    assert journal.reads < 60
