"""The square attack: windows, schedule and pyramids as in the paper."""

import numpy as np
import pytest
import torch

from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks.square import Square, SquareState
from blackbox_am.testing.searches import Search


def image_space(channels: int = 3, height: int = 8, width: int = 9) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def towards(corner: torch.Tensor):
    return lambda latents, _: (latents * corner).sum(1)


def test_the_first_change_is_a_stripe_a_column_and_channel() -> None:
    first = Search(Square(), image_space()).ask()[:, 0].reshape(3, 3, 8, 9)
    assert torch.equal(first, first[:, :, :1].expand_as(first))
    assert set(first.unique().tolist()) == {-1.0, 1.0}
    assert len({tuple(row.flatten().tolist()) for row in first}) == 3


def test_a_proposal_changes_one_window_and_is_kept_if_it_is_no_worse() -> None:
    corner = torch.ones(3 * 8 * 9)
    search = Search(Square(share=0.2), image_space(), score=towards(corner), targets=(0,))
    best = search.run(1)[-1][0, 0]
    for _ in range(20):
        asked = search.run(1)[-1][0, 0]
        places = (asked != best).reshape(3, 8, 9).any(0).nonzero()
        assert len(places), "a proposal equals the best change"
        size = places.max(0).values - places.min(0).values + 1
        assert size.max() <= 4  # the side is round(sqrt(.2 * 72)) = 4
        if (asked * corner).sum() >= (best * corner).sum():
            best = asked
    assert torch.equal(search.state.change[0], best)


def test_windows_have_any_shape_up_to_the_aspect() -> None:
    shapes = set()
    images = torch.zeros(1, 1, 16, 16)
    side = torch.tensor([4])
    limits = (-torch.ones_like(images), torch.ones_like(images))
    for generation in range(60):
        stream = Stream(7, "ask", generation, (0,))
        places = _squares.painted(images, side, stream, limits, 4.0)[0, 0].nonzero()
        height, width = (places.max(0).values - places.min(0).values + 1).tolist()
        assert len(places) == height * width
        assert 11 <= height * width <= 21  # 16 pixels, up to rounding
        shapes.add((height, width))
    assert {min(h for h, _ in shapes), max(h for h, _ in shapes)} == {2, 8}
    assert {min(w for _, w in shapes), max(w for _, w in shapes)} == {2, 8}


def test_a_turn_changes_the_signs_of_neighbouring_columns_of_one_channel() -> None:
    images = torch.rand(4, 3, 5, 9) + 0.1
    side = torch.tensor([1, 2, 3, 4])
    stream = Stream(7, "ask", 1, (0, 1, 2, 3))
    turned = _squares.turned_columns(images, torch.zeros_like(images), side, torch.ones(4), stream)
    assert torch.equal(turned.abs(), images)
    for image, wide in zip(turned < 0, side.tolist(), strict=True):
        channel, _, column = image.nonzero(as_tuple=True)
        assert len(channel.unique()) == 1
        assert len(channel) == 5 * wide
        assert int(column.max() - column.min()) == wide - 1
    never = _squares.turned_columns(images, images * 2, side, torch.zeros(4), stream)
    assert torch.equal(never, images * 2)


@pytest.mark.parametrize("aspect", [0.5, float("inf"), float("nan")])
def test_an_aspect_below_1_is_refused(aspect: float) -> None:
    with pytest.raises(ValueError, match="aspect must be 1 or more"):
        Square(aspect=aspect)


def test_the_first_change_of_the_euclidean_ball_is_stripes_or_tiles() -> None:
    stripes, tiles = (
        Search(Square(norm="l2", start=start), image_space()).ask()[:, 0].reshape(3, 3, 8, 9)
        for start in ("stripes", "tiles")
    )
    assert torch.equal(stripes, stripes[:, :, :1].expand_as(stripes))
    assert not torch.equal(tiles, tiles[:, :, :1].expand_as(tiles))
    for first in (stripes, tiles):
        assert first.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)


@pytest.mark.parametrize("texture", ["stripes", "plain"])
def test_a_new_pair_of_pyramids_has_signs_by_column_or_by_half(texture: str) -> None:
    images = torch.zeros(2, 3, 16, 16)
    side = torch.full((2,), 7)
    signs = set()
    for generation in range(20):
        new = _squares.moved(
            images, side, Stream(3, "ask", generation, (0, 1)), striped=texture == "stripes"
        )
        assert new.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0] * 2, abs=1e-5)
        for channel in new.flatten(0, 1):
            there = [column[column != 0].sign() for column in channel.T if (column != 0).any()]
            one_sign = [bool((column == column[0]).all()) for column in there]
            if texture == "stripes":
                assert all(one_sign)
            signs.add(tuple(float(column[0]) for column in there))
    # Plain halves are above each other, or beside each other: 3 and 4 columns of one sign.
    assert (len(signs) > 40) if texture == "stripes" else (len(signs) <= 6)


def test_the_schedule_of_the_euclidean_ball_is_not_scaled_to_the_budget() -> None:
    context = SearchContext(1000)
    assert Square(norm="l2").resolve(image_space(), context) == Square(norm="l2")
    assert Square().resolve(image_space(), context) == Square(budget=1000)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_finds_a_corner(norm: str) -> None:
    space = image_space()
    corner = torch.where(torch.arange(space.dim) % 9 < 4, 1.0, -1.0)
    search = Search(Square(norm=norm, share=0.1), space, score=towards(corner))
    start = float((search.run(1)[-1][0, 0] * corner).sum())
    search.run(300)
    reached = search.state.score
    # Pyramids of two signs fit these columns badly: a third of the greatest score is much.
    least = 0.6 * space.dim if norm == "linf" else 0.3 * space.dim**0.5
    assert (reached > start).all()
    assert reached.min() > least


def test_every_change_of_the_euclidean_ball_has_norm_1() -> None:
    search = Search(Square(norm="l2"), image_space())
    for latents in search.run(30):
        norms = latents.flatten(1).double().norm(dim=1)
        assert norms.tolist() == pytest.approx([1.0] * 3, abs=1e-5)


def test_the_window_shrinks_by_the_papers_schedule_scaled_to_the_budget() -> None:
    square = Square().resolve(image_space(), SearchContext(1000))
    assert isinstance(square, Square)
    image = (3, 224, 224)
    queries = torch.tensor([0, 1, 2, 5, 6, 400, 900])  # of 1,000: 0, 10, 20, 50, 60, 4,000, 9,000
    side = square._side(image, queries)
    shares = [1, 1, 2, 2, 4, 64, 512]
    assert side.tolist() == [max(round((0.05 / s * 224**2) ** 0.5), 1) for s in shares]


def test_a_pyramid_is_the_papers() -> None:
    """Rings of height 1 / (k + 1)^2, counted from the middle, in two halves of opposite sign
    and equal norm.
    """
    blank = torch.zeros(1, 1, 7, 7)
    corner = torch.tensor([1])
    pair = _squares.pyramid_pair(blank, corner, corner, torch.tensor([5]), torch.tensor([False]))
    upper, lower = np.zeros((2, 5)), np.zeros((3, 5))
    for half in (upper, lower):
        rows, columns = np.indices(half.shape)
        distance = np.maximum(abs(rows - len(half) // 2), abs(columns - 2))
        for k in range(3):
            half += (distance <= k) / (k + 1) ** 2
        half /= np.linalg.norm(half)
    expected = np.zeros((7, 7))
    expected[1:6, 1:6] = np.concatenate([upper, -lower])
    expected /= np.linalg.norm(expected)
    assert np.allclose(pair[0, 0].numpy(), expected, atol=1e-6)


def test_a_series_is_searched_in_parts_of_its_line() -> None:
    space = build_space(SpaceSpec("box", 40, low=(-1.0,), high=(1.0,)))
    search = Search(Square(share=0.2), space, targets=(0,))
    first, second = (latents[0, 0] for latents in search.run(2))
    places = (first != second).nonzero().flatten()
    assert 1 <= len(places) <= 8
    assert places.max() - places.min() < 8


def test_a_failed_first_row_is_asked_again() -> None:
    search = Search(Square(), image_space(), targets=(0,))
    first = search.ask()
    state = search.optimizer.tell(search.space, search.state, first, torch.full((1, 1), torch.nan))
    assert isinstance(state, SquareState)
    again = search.optimizer.ask(search.space, state, Stream(5, "ask", 1, (0,)))
    assert torch.equal(first, again)
