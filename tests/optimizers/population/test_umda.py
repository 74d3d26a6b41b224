"""UMDA: what it keeps, where children come from, and codes it finds."""

from collections.abc import Callable

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.population.umda import UMDA
from blackbox_am.testing.searches import Search


def codes(positions: int = 12, categories: int = 16) -> Space:
    return build_space(SpaceSpec("categorical", positions, categories=categories))


def wanted(positions: int, target: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(target)
    return torch.randint(16, (positions,), generator=generator)


def matches(latents: torch.Tensor, target: int) -> torch.Tensor:
    """How many positions hold the code that the target wants."""
    return (latents == wanted(latents.shape[-1], target)).sum(-1).float()


@pytest.mark.parametrize(("name", "finds"), [("umda", True), ("random", False)])
def test_finds_planted_codes(name: str, finds: bool) -> None:
    search = Search(plugins.optimizers.build(name, {"population": 20}), codes(), score=matches)
    search.run(150)
    found = torch.cat(search.told, dim=1)
    assert [bool(top == 12) for top in search.scores(found).amax(-1)] == [finds] * 3


def test_keeps_the_best_rows_of_all_generations() -> None:
    search = Search(UMDA(elites=7), codes(), score=matches)
    search.run(6)
    seen = torch.cat(search.told, dim=1)
    best = search.scores(seen).sort(dim=-1, descending=True).values[:, :7]
    assert torch.equal(search.state.scores, best.double())
    assert torch.equal(search.scores(search.state.elites), best)


def test_children_hold_what_elites_hold_but_for_mutations() -> None:
    positions, categories = 200, 1000
    search = Search(UMDA(mutation_rate=0.1), codes(positions, categories), targets=(0,))
    search.run(3)
    children, elites = search.ask()[0], search.state.elites[0]
    inherited = (children[:, None] == elites[None]).any(1)
    assert 0.88 < inherited.float().mean() < 0.92
    parents = (children[:, None] == elites[None]).float().mean((0, 2))
    assert parents.amin() > 0.07  # each of ten elites gives its share


def test_without_mutations_one_position_is_new() -> None:
    search = Search(UMDA(mutation_rate=0.0), codes(200, 1000), targets=(0,))
    search.run(3)
    children, elites = search.ask()[0], search.state.elites[0]
    new = ~(children[:, None] == elites[None]).any(1)
    assert new.sum(-1).tolist() == [1] * 20


def test_failed_rows_are_no_parents() -> None:
    search = Search(UMDA(elites=4, mutation_rate=0.0), codes(), targets=(0,))
    latents = search.ask()
    scores = torch.full((1, 20), torch.nan)
    scores[0, 3] = -torch.inf
    search.tell(latents, scores)
    assert search.state.known.tolist() == [[True, False, False, False]]
    assert ((search.ask()[0] == latents[0, 3]).sum(-1) >= 11).all()


def test_ranks_decide() -> None:
    def bent(latents: torch.Tensor, target: int) -> torch.Tensor:
        return torch.exp(matches(latents, target)) - 100

    runs: list[Callable[[torch.Tensor, int], torch.Tensor]] = [matches, bent]
    one, other = (Search(UMDA(), codes(), score=score).run(20)[-1] for score in runs)
    assert torch.equal(one, other)


def test_explains_bad_parameters() -> None:
    for parameters, message in (
        ({"population": 0}, "population must be at least 1"),
        ({"elites": 0}, "elites must be at least 1, since a child needs a parent"),
        ({"mutation_rate": 1.2}, r"mutation_rate must be in \[0, 1\]"),
    ):
        with pytest.raises(InvalidSpec, match=message):
            plugins.optimizers.build("umda", parameters)
