"""XDream's genetic algorithm: parents, genes, mutations, and the published settings."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.population.ga import FULL, GA, SETTINGS, fitness, roulette
from blackbox_am.testing.searches import Search

Rows = Callable[..., list[float]]
SIX = SpaceSpec("normal", 6)


def _shares(scores: list[float], **options: Any) -> list[float]:
    ordered = torch.tensor([scores], dtype=torch.float64)
    return (fitness(ordered, **options)[0].to(torch.float64) / FULL).tolist()


def test_fitness_by_hand() -> None:
    scores = [7.0, 5.0, 4.0, 0.0]
    deviation = math.sqrt(sum((s - 4) ** 2 for s in scores) / 4)
    found = _shares(scores, selectivity=2.0, clips=False)
    assert found == pytest.approx([math.exp((s - 7) / (deviation / 2)) for s in scores], abs=1e-11)


def test_fitness_is_clipped_at_the_95th_percentile() -> None:
    scores = sorted([100.0, *range(20)], reverse=True)
    np = pytest.importorskip("numpy")
    top = float(np.percentile(scores, 95))
    temperature = float(np.std(scores)) / 2
    found = _shares(scores, selectivity=2.0, clips=True)
    expected = [math.exp((min(s, top) - top) / temperature) for s in scores]
    assert found == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("clips", [True, False])
def test_fitness_of_special_scores(clips: bool) -> None:
    nan, inf = math.nan, math.inf
    options = {"selectivity": 2.0, "clips": clips}
    assert _shares([nan, nan], **options) == [0, 0]
    assert _shares([3.0, nan], **options) == [1, 0]
    assert _shares([2.0, 2.0, 2.0], **options) == [1, 1, 1]
    assert _shares([inf, inf], **options) == [1, 1]
    assert _shares([inf, 3.0, 1.0, -inf, nan], **options) == pytest.approx(
        [*_shares([3.0, 3.0, 1.0, 1.0], **options), 0]
    )


def test_roulette_follows_the_weights() -> None:
    weights = torch.tensor([[3, 0, 1]], dtype=torch.int64) * 2**40
    marks = torch.linspace(0, 1 - 1e-6, 400).unsqueeze(0)
    counts = roulette(weights, marks)[0].bincount(minlength=3)
    assert counts.tolist() == [300, 0, 100]


def test_children_are_copies_of_fit_parents_without_mixing_and_mutation() -> None:
    optimizer = GA(mutation_rate=0.0, heritability=1.0, selectivity=50.0)
    search = Search(optimizer, build_space(SIX), targets=(0, 1))
    parents = search.run(1)[0]
    best = parents.gather(
        1, search.scores(parents).argsort(descending=True)[:, :6, None].expand(-1, -1, 6)
    )
    for children, fit in zip(search.ask(), best, strict=True):
        assert all((child == fit).all(-1).any() for child in children)


def test_genes_come_from_two_parents_by_heritability() -> None:
    space = build_space(SpaceSpec("normal", 2000))
    search = Search(GA(mutation_rate=0.0, heritability=0.75, population=30), space, targets=(0,))
    parents = search.run(1)[0][0]
    for child in search.ask()[0]:
        shares = (child == parents).float().mean(-1).sort(descending=True).values
        two = (shares[0].item(), shares[1].item())
        assert two == pytest.approx((0.75, 0.25), abs=0.05) or two == (1.0, 0.0)


def test_mutations_are_measured_in_the_prior() -> None:
    space = build_space(SpaceSpec("box", 2000, low=(-100.0,), high=(100.0,)))
    search = Search(GA(mutation_rate=0.2, mutation_size=0.5, population=2), space, targets=(0,))
    parents = search.run(1)[0][0]
    child = search.ask()[0, 0]
    change = (child - parents).abs().amin(0)
    changed = change > 1e-3
    assert changed.float().mean().item() == pytest.approx(0.2, abs=0.03)


def test_elites_are_proposed_again_untouched() -> None:
    search = Search(GA(setting="gecco"), build_space(SIX))
    for _ in range(5):
        latents = search.run(1)[-1]
        scores = search.scores(latents)
        best = scores.argsort(dim=-1, descending=True)[:, :10]
        elites = latents.gather(1, best.unsqueeze(-1).expand(-1, -1, 6))
        assert torch.equal(search.ask()[:, :10], elites)


def test_elites_never_lose_the_best() -> None:
    search = Search(GA(setting="gecco"), build_space(SIX))
    best = [search.scores(latents).amax(-1) for latents in search.run(15)]
    assert (torch.stack(best).diff(dim=0) >= 0).all()


def test_failed_rows_are_no_parents() -> None:
    optimizer = GA(mutation_rate=0.0, heritability=1.0, elites=5, population=8)
    search = Search(optimizer, build_space(SIX), targets=(0,))
    latents = search.ask()
    scores = search.scores(latents)
    scores[0, [0, 1, 2, 5, 6]] = torch.nan
    search.tell(latents, scores)
    alive = latents[0, [3, 4, 7]]
    assert all((child == alive).all(-1).any() for child in search.ask()[0])


def test_a_generation_that_failed_leaves_the_parents() -> None:
    search = Search(GA(), build_space(SIX), targets=(0, 1))
    search.run(2)
    before = search.state
    scores = torch.full((2, 20), torch.nan)
    scores[0] = torch.arange(20)
    search.tell(search.ask(), scores)
    assert not torch.equal(search.state.parents[0], before.parents[0])
    assert torch.equal(search.state.parents[1], before.parents[1])


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_climbs(setting: str, rows_to_reach: Rows) -> None:
    """Six deviations of the prior, where the best of ten thousand samples has four."""
    space = build_space(SpaceSpec("normal", 64))
    needed = rows_to_reach(
        "ga", space, lambda x: x.sum(-1) / 8, target=6.0, budget=1_000, setting=setting
    )
    assert max(needed) < 1_000


def test_published_settings() -> None:
    assert GA().parameters() == (20, 0.5, 0.5, 2.0, 0.5, 0, True)
    assert GA(setting="xdream_fc8").parameters() == (20, 0.2, 0.6, 2.0, 0.5, 0, True)
    assert GA(setting="gecco").parameters() == (40, 0.25, 0.75, 0.5, 0.75, 10, False)
    mine = GA(setting="gecco", population=12, elites=0)
    assert mine.parameters() == (12, 0.25, 0.75, 0.5, 0.75, 0, False)


CODES = SpaceSpec("categorical", 12, categories=16)


def test_finds_planted_codes() -> None:
    def matches(latents: torch.Tensor, target: int) -> torch.Tensor:
        del target
        return (latents == torch.arange(12)).sum(-1).to(torch.float32)

    search = Search(GA(), build_space(CODES), score=matches, targets=(0,))
    found = search.scores(search.run(300)[-1]).max()
    assert search.state.parents.dtype == torch.int64
    assert found >= 11


def test_one_code_a_child_mutates_unless_a_rate_is_given() -> None:
    space = build_space(SpaceSpec("categorical", 200, categories=1000))
    for rate, expected in ((None, 1.0), (0.25, 50.0)):
        search = Search(
            GA(mutation_rate=rate, heritability=1.0, population=100), space, targets=(0,)
        )
        latents = search.ask()
        scores = torch.full((1, 100), torch.nan)
        scores[:, :2] = 1.0
        search.tell(latents, scores)
        parents = latents[0, :2]
        changed = (search.ask()[0, :, None] != parents).sum(-1).amin(1)
        assert changed.to(torch.float32).mean() == pytest.approx(expected, rel=0.4)
