"""Every optimizer searches a mixed space, or refuses it when the study is created."""

from typing import Any

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.libraries.nevergrad import Nevergrad
from blackbox_am.optimizers.population.ga import GA
from blackbox_am.testing.searches import Search

RIG = SpaceSpec(
    "product",
    3,
    parts=(
        SpaceSpec("box", 2, low=(0.0,), high=(1.0,)),
        SpaceSpec("categorical", 1, categories=4),
    ),
)
"""Two currents and one of four electrodes."""
WIDE = SpaceSpec(
    "product",
    24,
    parts=(
        SpaceSpec("box", 8, low=(0.0,), high=(1.0,)),
        SpaceSpec("categorical", 16, categories=6),
    ),
)
SEARCHES = {"auto", "ga", "nevergrad", "random", "sobol"}


def _hill(latents: torch.Tensor, target: int) -> torch.Tensor:
    """Currents of .7 are best; each code has a value of its own, in no order."""
    numbers, codes = latents[..., :8].double(), latents[..., 8:].long()
    worth = torch.tensor([0.1, 0.9, 0.3, 1.0, 0.0, 0.5], dtype=torch.float64)
    return worth[codes].sum(-1) - (numbers - 0.7 - 0.01 * target).square().sum(-1)


@pytest.mark.parametrize("name", plugins.optimizers.names())
def test_searched_or_refused_at_creation(name: str) -> None:
    optimizer: Optimizer[Any] = plugins.optimizers.build(name, {})
    space = build_space(RIG)
    if name not in SEARCHES:
        with pytest.raises(Unsupported, match=rf"{name} cannot search .* with codes .*`auto`"):
            optimizer.check(space)
        return
    optimizer.check(space)
    search = Search(optimizer, space)
    for latents in search.run(3):
        codes = latents[..., 2]
        assert latents.dtype == torch.float32
        assert torch.equal(codes, codes.round().clamp(0, 3))
        assert ((latents[..., :2] >= 0) & (latents[..., :2] <= 1)).all()


@pytest.mark.parametrize("name", ["auto", "ga", "nevergrad:DiscreteLenglerOnePlusOne"])
def test_codes_and_numbers_are_both_found(name: str) -> None:
    name, _, member = name.partition(":")
    built = plugins.optimizers.build(name, {"optimizer": member} if member else {})
    space = build_space(WIDE)
    search, chance = (
        Search(built, space, score=_hill),
        Search(plugins.optimizers.build("random", {"population": 20}), space, score=_hill),
    )
    found = search.scores(torch.cat(search.run(40), dim=1)).amax(-1)
    drawn = chance.scores(torch.cat(chance.run(40), dim=1)).amax(-1)
    assert (found > drawn + 1).all(), (found, drawn)


@pytest.mark.parametrize("member", ["NGOpt", "TwoPointsDE", "OnePlusOne", "CMA", "PSO", "SQP"])
def test_a_nevergrad_optimizer_completes_or_is_refused_before_it_starts(member: str) -> None:
    space = build_space(RIG)
    message = ""
    try:
        settled = Nevergrad(member, population=4).resolve(space, SearchContext(40))
    except Unsupported as error:
        message = error.message
    if message:
        assert member in message
        return
    search = Search(settled, space)
    assert len(search.run(10)) == 10


def test_a_genetic_algorithm_begins_at_given_latents() -> None:
    space = build_space(RIG)
    start = torch.tensor([[0.25, 0.75, 2.0]])
    ga = GA(mutation_size=0.01, mutation_rate=0.1)
    state = ga.init(space, 1, Stream(0, "init", 0))
    state = ga.started_at(space, state, start)
    first = space.project(ga.ask(space, state, Stream(0, "ask", 0)))
    assert (first[..., 2] == 2).double().mean() > 0.7
    assert (first[..., :2] - start[0, :2]).abs().max() < 0.05
