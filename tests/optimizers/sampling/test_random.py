"""The baseline draws from the prior."""

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.sampling.random import Random
from blackbox_am.testing.searches import Search


def test_is_the_prior() -> None:
    space = build_space(SpaceSpec("box", 3, low=(-1.0,), high=(2.0,)))
    search = Search(Random(population=10), space)
    expected = space.sample(Stream(11, "ask", 0, (0, 1, 2)), 10)
    assert torch.equal(search.ask(), expected)


def test_draws_codes() -> None:
    space = build_space(SpaceSpec("categorical", 50, categories=3))
    latents = Search(Random(), space).ask()
    assert latents.dtype == torch.int64
    assert set(latents.unique().tolist()) == {0, 1, 2}


def test_learns_nothing() -> None:
    space = build_space(SpaceSpec("normal", 4))
    one, other = (
        Search(Random(), space, score=s) for s in (lambda x, _: x[:, 0], lambda x, _: -x[:, 0])
    )
    assert torch.equal(one.run(3)[-1], other.run(3)[-1])
