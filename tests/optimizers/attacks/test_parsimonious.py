"""The parsimonious attack: groups of blocks, the block with the greatest rise first."""

import numpy as np
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.attacks.parsimonious import Parsimonious
from blackbox_am.testing.searches import Search


def image_space(channels: int = 2, height: int = 8, width: int = 8) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def towards(corner: torch.Tensor):
    return lambda latents, _: (latents * corner).sum(1).double()


def test_the_start_alone_is_measured_first() -> None:
    search = Search(Parsimonious(start="ones"), image_space())
    proposal = search.propose()
    assert proposal.mask().sum(1).tolist() == [1] * 3
    assert (proposal.latents[:, 0] == -1).all()


def test_each_row_of_a_scan_turns_one_block_and_the_groups_have_all_blocks() -> None:
    space = image_space()
    # No block raises the score, so that all groups are scanned.
    search = Search(
        Parsimonious(block=4, batch=3, start="ones"),
        space,
        score=towards(-torch.ones(space.dim)),
        targets=(0,),
    )
    search.run(1)
    seen = []
    for rows in (3, 3, 2):  # 2 x 2 blocks of 2 channels
        proposal = search.propose()
        assert int(proposal.mask().sum()) == rows
        for row in proposal.latents[0, :rows]:
            turned = (row == 1).reshape(2, 8, 8)
            channel, top, left = (int(n[0]) for n in turned.nonzero(as_tuple=True))
            assert turned[channel, top : top + 4, left : left + 4].all()
            assert int(turned.sum()) == 16
            seen.append((channel, top, left))
        search.run(1)
    assert len(set(seen)) == 8
    assert search.state.side.tolist() == [2]


def test_the_block_with_the_greatest_rise_is_turned_first() -> None:
    space = image_space(1, 4, 4)
    corner = torch.tensor([[1.0, 1, 5, 5], [1, 1, 5, 5], [-9, -9, 2, 2], [-9, -9, 2, 2]]).flatten()
    search = Search(
        Parsimonious(block=2, batch=4, start="ones"), space, score=towards(corner), targets=(0,)
    )
    search.run(2)  # the start and the scan of four blocks
    order = [search.propose()]
    assert (search.state.change.reshape(4, 4)[:2, 2:] == 1).all()
    assert int((search.state.change == 1).sum()) == 4
    for expected in ((2, 2), (0, 0)):
        row = search.propose().latents[0, 0]
        new = ((row == 1) & (search.state.change[0] == -1)).reshape(4, 4).nonzero()
        assert tuple(new[0].tolist()) == expected
        search.run(1)
    assert order[0].mask().sum() == 1
    best = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1], [-1, -1, 1, 1], [-1, -1, 1, 1]])
    assert torch.equal(search.state.change.reshape(4, 4), best)


def test_a_rise_that_shrinks_gives_way_to_the_next_block() -> None:
    """Block 0 alone raises the score by 3 and block 1 by 2; block 2 by 1.5. With block 0, block 1
    raises it by 1 only, so that block 2 is turned before it.
    """
    space = build_space(SpaceSpec("box", 3, low=(-1.0,), high=(1.0,), image_shape=(1, 1, 3)))

    def score(latents: torch.Tensor, _: int) -> torch.Tensor:
        one, two, three = (latents > 0).double().unbind(1)
        return 3 * one + 2 * two + 1.5 * three - one * two

    search = Search(Parsimonious(block=1, start="ones"), space, score=score, targets=(0,))
    search.run(2)
    assert search.state.change[0].tolist() == [1, -1, -1]
    search.run(1)
    assert search.state.change[0].tolist() == [1, -1, -1]
    search.run(1)
    assert search.state.change[0].tolist() == [1, -1, 1]
    search.run(1)
    assert search.state.change[0].tolist() == [1, 1, 1]


def test_a_turned_block_is_turned_back_where_another_makes_it_worse() -> None:
    space = build_space(SpaceSpec("box", 2, low=(-1.0,), high=(1.0,), image_shape=(1, 1, 2)))

    def score(latents: torch.Tensor, _: int) -> torch.Tensor:
        one, two = (latents > 0).double().unbind(1)
        return 3 * one + 2 * two + torch.where((one > 0) & (two > 0), -1.0, 0.0)

    search = Search(Parsimonious(block=1, start="ones"), space, score=score, targets=(0,))
    search.run(10)
    assert search.state.change[0].tolist() == [1, 1]
    assert float(search.state.score[0]) == 4


def test_it_finds_the_signs_of_a_linear_score() -> None:
    space = image_space()
    corner = torch.randn(space.dim, generator=torch.Generator().manual_seed(3))
    search = Search(Parsimonious(), space, score=towards(corner))
    search.run(400)
    assert (search.state.score > 0.99 * corner.abs().sum()).all()
    reached = (search.state.change * corner).sum(1).double()
    assert torch.allclose(reached, search.state.score, atol=1e-3)


def test_failed_rows_are_not_turned() -> None:
    space = image_space(1, 4, 4)
    search = Search(Parsimonious(block=2, start="ones"), space, score=towards(torch.ones(16)))
    first = search.ask()
    search.tell(first, torch.full(first.shape[:2], torch.nan))
    assert not search.state.known.any()
    search.run(1)
    rows = search.ask()
    search.tell(rows, torch.full(rows.shape[:2], torch.nan))
    assert (search.state.change == -1).all()
    assert search.state.side.tolist() == [1] * 3
