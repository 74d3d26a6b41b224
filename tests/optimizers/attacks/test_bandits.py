"""Bandits: pairs of rows beside the change, and a prior on tiles."""

import numpy as np
import pytest
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.attacks.bandits import Bandits
from blackbox_am.testing.searches import Search


def image_space(channels: int = 2, height: int = 6, width: int = 7) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def test_the_first_two_rows_are_opposite_and_equal_on_tiles() -> None:
    search = Search(Bandits(tiles=3, probe=0.05), image_space(2, 6, 6))
    proposal = search.propose()
    assert proposal.mask()[0].tolist() == [False, True, True]
    ahead, behind = proposal.latents[:, 1], proposal.latents[:, 2]
    assert torch.allclose(ahead, -behind, atol=1e-6)
    assert ahead.norm(dim=1).tolist() == pytest.approx([0.05 * 72**0.5] * 3, rel=1e-4)
    image = ahead.reshape(3, 2, 6, 6)
    assert torch.equal(image[..., ::2, :], image[..., 1::2, :])
    assert torch.equal(image[..., ::2], image[..., 1::2])
    assert len(image[0].unique()) == 18
    search.run(1)
    assert search.propose().mask().all()


def test_the_mean_of_a_tile_is_the_inverse_of_a_spread_tile() -> None:
    space, bandits = image_space(2, 6, 7), Bandits(tiles=4)
    tiles = torch.randn(3, 2 * 4 * 4, generator=torch.Generator().manual_seed(1))
    values = bandits._spread(space, tiles.unsqueeze(1))[:, 0]
    assert torch.allclose(bandits._gathered(space, values), tiles, atol=1e-6)


def test_the_prior_of_the_cube_makes_steps_of_exponentiated_gradients() -> None:
    prior = torch.tensor([[0.2, -0.5]])
    step = torch.tensor([[0.3, 0.1]])
    found = Bandits(prior_rate=0.5)._corrected(prior, step)
    up = (1 + prior) / 2 * (0.5 * 2**0.5 * step).exp()
    down = (1 - prior) / 2 * (-0.5 * 2**0.5 * step).exp()
    assert torch.allclose(found, 2 * up / (up + down) - 1, atol=1e-6)


def test_the_size_of_the_scores_does_not_matter() -> None:
    space = image_space()
    slope = torch.randn(space.dim, generator=torch.Generator().manual_seed(4)).double()

    def search(size: float) -> Search:
        return Search(Bandits(), space, score=lambda x, _: (x.double() * slope).sum(1) * size)

    small, large = search(2.0**-20), search(2.0**20)
    assert torch.equal(small.run(20)[-1], large.run(20)[-1])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_climbs_a_linear_score(norm: str) -> None:
    space = image_space()
    slope = torch.randn(space.dim, generator=torch.Generator().manual_seed(4))
    search = Search(Bandits(norm=norm, tiles=7), space, score=lambda x, _: (x * slope).sum(1))
    search.run(200)
    best = slope.abs().sum() if norm == "linf" else slope.norm()
    assert ((search.state.change * slope).sum(1) > 0.6 * best).all()
    size = search.state.change.abs().amax(1) if norm == "linf" else search.state.change.norm(dim=1)
    assert (size <= 1 + 1e-6).all()


def test_a_pair_with_a_failed_row_does_not_change_the_prior() -> None:
    search = Search(Bandits(), image_space())
    search.run(3)
    before = search.state.prior.clone()
    rows = search.ask()
    scores = search.scores(rows)
    scores[:, 2] = torch.nan
    search.tell(rows, scores)
    assert torch.allclose(search.state.prior, before, atol=1e-6)


def test_a_line_has_tiles_too() -> None:
    space = build_space(SpaceSpec("box", 9, low=(-1.0,), high=(1.0,)))
    search = Search(Bandits(tiles=3), space)
    row = search.ask()[0, 1].reshape(3, 3)
    assert torch.equal(row, row[:, :1].expand_as(row))
