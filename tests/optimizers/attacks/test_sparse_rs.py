"""Sparse-RS: exactly so many pixels, exchanged by the paper's schedule."""

import numpy as np
import pytest
import torch

from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.attacks.sparse_rs import SparseRs
from blackbox_am.testing.searches import Search


def image_space(channels: int = 3, height: int = 8, width: int = 9) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def chosen(latents: torch.Tensor) -> torch.Tensor:
    """(..., places) bool: the places where an image of 3 channels changes."""
    return (latents.reshape(*latents.shape[:-1], 3, -1) != 0).any(-2)


def test_every_change_has_so_many_pixels_at_corners_of_the_colour_cube() -> None:
    for latents in Search(SparseRs(pixels=10), image_space()).run(40):
        assert (chosen(latents).sum(-1) == 10).all()
        assert set(latents.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_a_proposal_exchanges_a_share_of_the_pixels() -> None:
    search = Search(SparseRs(pixels=20, share=0.6), image_space(), targets=(0,))
    first, second = (chosen(latents[0, 0]) for latents in search.run(2))
    assert (first & ~second).sum() == 6  # .6 / 2 of 20
    assert (second & ~first).sum() == 6


def test_the_share_falls_by_the_papers_schedule_scaled_to_the_budget() -> None:
    attack = SparseRs(share=1.0).resolve(image_space(), SearchContext(1000))
    assert isinstance(attack, SparseRs)
    many = torch.arange(1000).expand(5, -1) < 240
    queries = torch.tensor([0, 6, 21, 300, 900])  # of 10,000: 0, 60, 210, 3,000, 9,000
    assert attack._count(many, queries).tolist() == [240 // n for n in (2, 4, 5, 10, 20)]
    few = torch.arange(1000).expand(5, -1) < 3
    assert attack._count(few, queries).tolist() == [1] * 5


def test_it_finds_the_pixels_that_matter() -> None:
    space = image_space()
    weights = torch.zeros(3, 8, 9)
    weights[:, 2:4, 3:6] = 1.0  # 6 pixels
    search = Search(
        SparseRs(pixels=6, budget=1000), space, score=lambda x, _: (x * weights.flatten()).sum(1)
    )
    search.run(1000)
    # The greatest score is 18. A random choice has half a pixel of these 6, and a score near 0.
    assert (search.state.score >= 6).all()


def test_where_every_place_is_chosen_colours_turn() -> None:
    space = build_space(SpaceSpec("box", 5, low=(-1.0,), high=(1.0,)))
    search = Search(SparseRs(pixels=8), space, score=lambda x, _: x.sum(1))
    search.run(60)
    assert (search.state.change == 1).all()


def test_the_ball_of_few_pixels_renders_what_was_asked() -> None:
    clean = np.full((1, 3, 8, 9), 0.4, dtype=np.float32)
    generator = Perturbation(inputs=clean, ball="l0", radius=10, squash=False)
    latents = Search(SparseRs(pixels=10), generator.space, targets=(0,)).ask()[0]
    stimulus = generator.render(latents)
    changed = (stimulus - 0.4).abs().amax(1).flatten(1) > 1e-6
    assert torch.equal(changed, chosen(latents))
    assert stimulus.unique().tolist() == pytest.approx([0.0, 0.4, 1.0])


@pytest.mark.parametrize("wrong", [{"pixels": 0}, {"share": 1.5}, {"budget": 0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SparseRs(**wrong)  # type: ignore[arg-type]
