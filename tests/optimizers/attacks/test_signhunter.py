"""SignHunter: parts of every level are turned, and kept if the score does not fall."""

import numpy as np
import pytest
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.attacks.signhunter import SignHunter
from blackbox_am.testing.searches import Search


def image_space(channels: int = 3, height: int = 4, width: int = 5) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def line(dim: int) -> Space:
    return build_space(SpaceSpec("box", dim, low=(-1.0,), high=(1.0,)))


def worse_each_time() -> object:
    """Scores that fall, so that no flip is kept."""
    scores = iter(range(0, -1_000, -1))
    return lambda latents, _: torch.full((len(latents),), float(next(scores)), dtype=torch.float64)


def flips(search: Search, count: int) -> list[list[int]]:
    first, *others = (rows[0, 0] for rows in search.run(count + 1))
    return [(other != first).nonzero().flatten().tolist() for other in others]


def test_the_parts_of_a_level_are_equal_and_cover_the_line() -> None:
    search = Search(SignHunter(), line(6), score=worse_each_time(), targets=(0,))
    everything = [0, 1, 2, 3, 4, 5]
    halves = [[0, 1, 2], [3, 4, 5]]
    pairs = [[0, 1], [2, 3], [4, 5]]
    single = [[value] for value in everything]
    again = [everything, *halves]
    assert flips(search, 15) == [everything, *halves, *pairs, *single, *again]


def test_the_parts_of_an_image_are_columns_or_rows() -> None:
    def last_level(parts: str) -> list[list[int]]:
        search = Search(
            SignHunter(parts=parts), image_space(1, 4, 8), score=worse_each_time(), targets=(0,)
        )
        return flips(search, 15)[7:]  # after levels of 1, 2 and 4 parts

    assert last_level("columns") == [[column + 8 * row for row in range(4)] for column in range(8)]
    assert last_level("rows") == [list(range(begin, begin + 4)) for begin in range(0, 32, 4)]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_pass_finds_the_signs_of_a_linear_score(norm: str) -> None:
    """The change that maximises a linear score has the signs of its gradient."""
    space = image_space()
    gradient = torch.randn(space.dim, generator=torch.Generator().manual_seed(3))
    search = Search(SignHunter(norm=norm), space, score=lambda x, _: (x * gradient).sum(1))
    search.run(2 * 64 + 2 * 60)  # at most: levels of 1 to 32 parts and one of 60 values
    size = 1 if norm == "linf" else 60**-0.5
    assert torch.allclose(search.state.change, (gradient.sign() * size).expand(3, -1))


def test_the_first_change_is_a_stripe_a_column_and_channel_or_ones() -> None:
    first = Search(SignHunter(), image_space()).ask()[:, 0].reshape(3, 3, 4, 5)
    assert torch.equal(first, first[:, :, :1].expand_as(first))
    assert set(first.unique().tolist()) == {-1.0, 1.0}
    assert (Search(SignHunter(start="ones"), image_space()).ask() == 1).all()


def test_every_change_of_the_euclidean_ball_has_norm_1() -> None:
    for latents in Search(SignHunter(norm="l2"), image_space()).run(30):
        assert latents.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)


def test_a_failed_row_is_not_kept_and_a_failed_first_row_is_asked_again() -> None:
    search = Search(SignHunter(), line(8), targets=(0,))
    first = search.ask()
    search.tell(first, torch.full((1, 1), torch.nan))
    assert torch.equal(search.ask(), first)
    search.tell(first, torch.zeros(1, 1))
    turned = search.ask()
    assert torch.equal(turned, -first)
    search.tell(turned, torch.full((1, 1), torch.nan))
    assert torch.equal(search.state.change, first[:, 0])
    assert not torch.equal(search.ask(), turned)


def test_a_start_inside_the_ball_is_moved_to_the_vertices_part_by_part() -> None:
    search = Search(SignHunter(), line(8), targets=(0,), start=torch.zeros(1, 8))
    search.run(1)
    assert (search.state.change == 0).all()
    assert (search.ask().abs() == 1).all()
