"""PBIL: one generation by hand, what it draws, and codes it finds."""

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers._weights import rates
from blackbox_am.optimizers.population.pbil import PBIL
from blackbox_am.testing.searches import Search


def codes(positions: int = 12, categories: int = 16) -> Space:
    return build_space(SpaceSpec("categorical", positions, categories=categories))


def matches(latents: torch.Tensor, target: int) -> torch.Tensor:
    """How many positions hold the code that the target wants."""
    generator = torch.Generator().manual_seed(target)
    wanted = torch.randint(16, (latents.shape[-1],), generator=generator)
    return (latents == wanted).sum(-1).float()


def test_one_generation_by_hand() -> None:
    space = codes(3, 5)
    search = Search(PBIL(population=4, learning_rate=0.5), space, targets=(0,))
    latents = torch.tensor([[[0, 1, 2], [0, 0, 0], [4, 4, 4], [3, 3, 3]]])
    search.tell(latents, torch.tensor([[3.0, 4.0, 2.0, 1.0]]))
    best, second = rates(4, 3, active=False, diagonal=True).weights[:2]
    expected = torch.full((3, 5), 0.1)
    expected[0, 0] += 0.5
    expected[1, [0, 1]] += 0.5 * torch.tensor([best, second])
    expected[2, [0, 2]] += 0.5 * torch.tensor([best, second])
    torch.testing.assert_close(search.state.chances[0], expected)


def test_draws_by_its_chances() -> None:
    search = Search(PBIL(population=20_000, mutation_rate=0.0), codes(2, 4), targets=(0,))
    chances = torch.tensor([[0.0, 0.5, 0.2, 0.3], [0.25, 0.0, 0.75, 0.0]])
    search.state.chances = chances.unsqueeze(0)
    drawn = search.ask()[0]
    for position in range(2):
        seen = drawn[:, position].bincount(minlength=4) / 20_000
        torch.testing.assert_close(seen, chances[position], atol=0.02, rtol=0)
        assert (seen[chances[position] == 0] == 0).all()


def test_leaves_a_share_to_the_prior() -> None:
    search = Search(PBIL(population=20_000, mutation_rate=0.4), codes(1, 4), targets=(0,))
    search.state.chances = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    seen = search.ask()[0, :, 0].bincount(minlength=4) / 20_000
    torch.testing.assert_close(seen, torch.tensor([0.7, 0.1, 0.1, 0.1]), atol=0.02, rtol=0)


def test_chances_stay_chances() -> None:
    search = Search(PBIL(), codes(), score=matches)
    search.run(300)
    chances = search.state.chances
    assert (chances >= 0).all()
    torch.testing.assert_close(chances.sum(-1), torch.ones(3, 12), rtol=0, atol=1e-3)


def test_learns_nothing_where_nothing_can_be_ranked() -> None:
    search = Search(PBIL(), codes(), targets=(0,))
    latents = search.ask()
    scores = torch.full((1, 20), torch.nan)
    scores[0, 3] = 1.0
    search.tell(latents, scores)
    assert torch.equal(search.state.chances, torch.full((1, 12, 16), 1 / 16))


def test_finds_planted_codes() -> None:
    search = Search(plugins.optimizers.build("pbil", {}), codes(), score=matches)
    search.run(150)
    found = search.scores(torch.cat(search.told, dim=1)).amax(-1)
    assert found.amin() >= 11


def test_explains_bad_parameters() -> None:
    for parameters, message in (
        ({"population": 1}, "population must be at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": 1.1}, r"learning_rate must be in \[0, 1\]"),
        ({"mutation_rate": -0.1}, r"mutation_rate must be in \[0, 1\]"),
    ):
        with pytest.raises(InvalidSpec, match=message):
            plugins.optimizers.build("pbil", parameters)
