"""Differential evolution: its donors, its trials, its memory, and tops it finds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.population.de import DE, donors
from blackbox_am.testing.searches import Search

Rows = Callable[..., list[float]]
SIX = SpaceSpec("normal", 6)


@pytest.mark.parametrize("size", [4, 5, 40])
def test_donors_are_others_and_all_different(size: int) -> None:
    rows = torch.arange(size).expand(3, size)
    for seed in range(20):
        found = donors(Stream(seed, "ask", 0, (0, 1, 2)), size)
        four = torch.stack([rows, *found], dim=-1).sort(dim=-1).values
        assert (four.diff(dim=-1) > 0).all()
        assert four.min() >= 0
        assert four.max() < size


def test_every_donor_is_as_likely() -> None:
    counts = torch.zeros(3, 5, dtype=torch.int64)
    for seed in range(600):
        for i, rows in enumerate(donors(Stream(seed, "ask", 0), 5)):
            counts[i, rows[0, 2]] += 1
    assert (counts[:, 2] == 0).all()
    assert (counts[:, [0, 1, 3, 4]] - 150).abs().max() < 50


@pytest.mark.parametrize("strategy", ["rand1bin", "current_to_best"])
def test_trials_by_hand(strategy: Any) -> None:
    optimizer = DE(population=10, strategy=strategy, weight=0.6, crossover=1.0)
    search = Search(optimizer, build_space(SIX), targets=(0,), dtype=torch.float64)
    rows = search.run(1)[0]
    one, two, three = (rows[0, i[0]] for i in donors(search.stream("ask"), 10))
    if strategy == "rand1bin":
        expected = one + 0.6 * (two - three)
    else:
        best = rows[0, search.scores(rows)[0].argmax()]
        expected = rows[0] + 0.6 * (best - rows[0]) + 0.6 * (one - two)
    torch.testing.assert_close(search.ask()[0], expected)


def test_a_trial_differs_in_one_coordinate_at_the_least() -> None:
    search = Search(DE(crossover=0.0), build_space(SIX))
    rows = search.run(1)[0]
    assert ((search.ask() != rows).sum(-1) == 1).all()


def test_no_row_gets_worse() -> None:
    search = Search(DE(), build_space(SIX))
    before = torch.full((3, 40), -torch.inf, dtype=torch.float64)
    for _ in range(10):
        search.run(1)
        assert (search.state.scores >= before).all()
        torch.testing.assert_close(
            search.state.scores, search.scores(search.state.population), rtol=1e-5, atol=1e-5
        )
        before = search.state.scores


def test_rows_without_a_score_are_drawn_afresh() -> None:
    space = build_space(SIX)
    search = Search(DE(population=6), space, targets=(0,))
    first = search.ask()
    scores = search.scores(first)
    scores[0, [1, 4]] = torch.nan
    search.tell(first, scores)
    assert search.state.known.tolist() == [[True, False, True, True, False, True]]
    again = search.ask()
    assert not torch.equal(again[0, 1], first[0, 1])
    search.tell(again, torch.full((1, 6), -1e9))
    assert search.state.known.all()
    assert torch.equal(search.state.population[0, [1, 4]], again[0, [1, 4]])
    assert torch.equal(search.state.population[0, [0, 2]], first[0, [0, 2]])


@pytest.mark.parametrize(("dim", "budget"), [(16, 6_000), (64, 40_000)])
def test_reaches_the_top(dim: int, budget: int, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", dim))
    needed = rows_to_reach("de", space, hills["sphere"], target=-1e-2, budget=budget, targets=3)
    assert sorted(needed)[1] < budget
