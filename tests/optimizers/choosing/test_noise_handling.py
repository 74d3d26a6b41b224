"""Noise handling: how noise is seen, and what it does to populations."""

from typing import Any

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.choosing.noise_handling import NoiseHandling, disorder
from blackbox_am.testing.searches import Search, quadratic

ALWAYS = torch.tensor([[True]])
"""Every one of the last rows repeats another one."""


def space(dim: int = 6) -> Space:
    return build_space(SpaceSpec("normal", dim))


def chance(latents: torch.Tensor, target: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(int(latents.abs().sum() * 1e6) + target)
    return torch.rand(len(latents), generator=generator)


def test_disorder_counts_the_rows_between_two_answers() -> None:
    nan = torch.nan
    scores = torch.tensor(
        [
            [5.0, 1.0, 2.0, 3.0, 5.0],  # the same answer twice
            [5.0, 1.0, 2.0, 3.0, 2.5],  # one of three rows lies between
            [0.0, 1.0, 2.0, 3.0, 9.0],  # all do
            [2.0, 1.0, 2.0, 3.0, 3.0],  # equal scores are not between
            [5.0, nan, nan, 3.0, 2.5],
            [nan, 1.0, 2.0, 3.0, 2.5],
            [5.0, nan, nan, nan, 2.5],
        ]
    )
    seen, known = disorder(scores, 1, ALWAYS)
    assert seen[:5].tolist() == [0, 1, 3, 0, 3]
    assert known.tolist() == [True] * 5 + [False] * 2


def test_a_row_that_was_replaced_was_not_repeated() -> None:
    scores = torch.tensor([[5.0, 1.0, 4.0, 3.0, 0.0, 3.5]])
    seen, known = disorder(scores, 2, torch.tensor([[False, True]]))
    assert (seen.tolist(), known.tolist()) == ([3 * 1 / 4], [True])


def test_disorder_averages_over_repeated_rows() -> None:
    scores = torch.tensor([[5.0, 1.0, 4.0, 3.0, 5.0, 3.5]])  # 0 of 4 rows, and 1 of 4
    seen, _ = disorder(scores, 2, ALWAYS)
    assert seen.tolist() == [3 * 1 / 8]


def test_disorder_of_chance_is_one() -> None:
    scores = torch.rand(20_000, 12, generator=torch.Generator().manual_seed(3))
    assert disorder(scores, 2, ALWAYS)[0].mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("population", "repeats", "expected"), [(20, 0.05, 1), (20, 0.3, 6)])
def test_the_last_rows_repeat_the_first(population: int, repeats: float, expected: int) -> None:
    optimizer = NoiseHandling(parameters={"population": population}, repeats=repeats)
    latents = Search(optimizer, space()).ask()
    assert torch.equal(latents[:, -expected:], latents[:, :expected])
    distinct = {tuple(row) for row in latents[0].tolist()}
    assert len(distinct) == population - expected


def test_populations_grow_with_noise_and_stay_without() -> None:
    def score(latents: torch.Tensor, target: int) -> torch.Tensor:
        return (chance if target == 1 else quadratic)(latents, target)

    search = Search(NoiseHandling(inner="snes"), space(), score=score)
    search.run(60)
    assert search.state.wanted.tolist() == [1, 4, 1]
    assert search.state.noise[[0, 2]].tolist() == [0, 0]
    assert 0.2 < search.state.noise[1] < 2
    assert search.state.inner["generation"].tolist()[0] == 60
    assert search.state.inner["generation"].tolist()[1] < 30
    search.score = quadratic
    search.run(60)
    assert search.state.wanted.tolist() == [1, 1, 1]


@pytest.mark.parametrize("noisy", [True, False])
def test_finds_a_tuned_unit_behind_noise_where_the_strategy_alone_does_not(noisy: bool) -> None:
    best = torch.randn(32, generator=torch.Generator().manual_seed(4))
    targets = range(6)

    def clean(name: str, **parameters: Any) -> float:
        """What the rows of the last generations score without noise."""
        optimizer = plugins.optimizers.build(name, parameters)
        state = optimizer.init(space(32), len(targets), Stream(0, "init", 0, targets))
        noise = torch.Generator().manual_seed(1)
        seen = []
        for generation in range(1500 // optimizer.population_size(space(32))):
            latents = optimizer.ask(space(32), state, Stream(0, "ask", generation, targets))
            exact = torch.exp(-(latents - best).square().mean(-1))
            factor = 1 + 0.5 * torch.randn(exact.shape, generator=noise) if noisy else 1
            state = optimizer.tell(space(32), state, latents, exact * factor)
            seen.append(exact.mean())
        return float(torch.stack(seen[-10:]).mean())

    alone, handled = clean("sep_cma"), clean("noise_handling", inner="sep_cma")
    if noisy:
        assert handled > 1.3 * alone
    else:
        assert handled > 0.98 * alone


def test_explains_bad_parameters() -> None:
    for parameters, message in (
        ({"repeats": 0.0}, "repeats must be positive"),
        ({"repeats": 0.6}, "repeats must be at most 0.5"),
        ({"limit": 2.0}, r"limit must be in \[0, 1\]"),
        ({"growth": 0}, "growth must be at least 1"),
    ):
        with pytest.raises(InvalidSpec, match=message):
            plugins.optimizers.build("noise_handling", parameters)
