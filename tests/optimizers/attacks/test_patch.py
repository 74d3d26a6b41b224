"""Patches: one square with colours of the cube's corners, which moves and is painted."""

import numpy as np
import pytest
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.attacks.patch import Patch
from blackbox_am.testing.searches import Search

IMAGE = (3, 8, 9)


def image_space() -> Space:
    size = int(np.prod(IMAGE))
    return build_space(SpaceSpec("box", size, low=(-1.0,), high=(1.0,), image_shape=IMAGE))


def corners(latents: torch.Tensor) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) of the changed pixels of each image (N, D)."""
    found = []
    for image in latents.reshape(-1, *IMAGE):
        rows, columns = (image != 0).all(0).nonzero().T
        top, left = int(rows.min()), int(columns.min())
        tall, wide = int(rows.max()) - top + 1, int(columns.max()) - left + 1
        assert len(rows) == tall * wide == int((image != 0).any(0).sum()), "not one window"
        found.append((top, left, tall, wide))
    return found


def test_every_change_is_one_square_of_corners_of_the_colour_cube() -> None:
    for latents in Search(Patch(pixels=10, budget=60), image_space()).run(60):
        assert {where[2:] for where in corners(latents)} == {(3, 3)}
        assert set(latents.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_every_fourth_query_moves_the_patch_and_the_others_paint_a_square_of_it() -> None:
    search = Search(Patch(pixels=9, budget=10_000), image_space(), score=lambda x, _: x[:, 0] * 0)
    before, *others = search.run(41)
    moved = 0
    for number, latents in enumerate(others, start=1):
        old, new = corners(before), corners(latents)
        for index, (first, second) in enumerate(zip(old, new, strict=True)):
            if number % 4:
                assert first == second
                assert not torch.equal(before.flatten(0, 1)[index], latents.flatten(0, 1)[index])
            else:
                assert _content(before, index) == _content(latents, index)
                moved += first != second
        before = latents  # an equal score is accepted
    assert moved > 10


def _content(latents: torch.Tensor, index: int) -> list[float]:
    image = latents.reshape(-1, *IMAGE)[index]
    return image[image != 0].tolist()


def test_it_finds_the_place_and_the_colours() -> None:
    weights = torch.zeros(IMAGE)
    weights[:, 2:5, 4:7] = 1.0
    weights[0, 2:5, 4:7] = -1.0
    search = Search(
        Patch(pixels=9, budget=600),
        image_space(),
        score=lambda x, _: (x * weights.flatten()).sum(1),
    )
    search.run(600)
    assert (search.state.score >= 25).all()  # 27 is the greatest
    assert set(corners(search.state.change)) == {(2, 4, 3, 3)}


def test_a_patch_as_high_as_the_image_stays_inside_and_a_line_has_a_segment() -> None:
    for latents in Search(Patch(pixels=1000, budget=30), image_space()).run(10):
        assert set(corners(latents)) <= {(0, 0, 8, 8), (0, 1, 8, 8)}
    line = build_space(SpaceSpec("box", 12, low=(-1.0,), high=(1.0,)))
    for latents in Search(Patch(pixels=5, budget=30), line).run(20):
        assert ((latents != 0).sum(-1) == 5).all()


def test_the_ball_renders_the_patch() -> None:
    clean = np.full((1, *IMAGE), 0.4, np.float32)
    generator = Perturbation(inputs=clean, ball="l0", radius=10, squash=False)
    latents = Search(Patch(pixels=10), generator.space, targets=(0,)).ask()[0]
    stimulus = generator.render(latents)
    changed = (stimulus - 0.4).abs().amax(1).flatten(1) > 1e-6
    assert int(changed.sum()) == 9
    assert torch.equal(changed[0], (latents.reshape(3, -1) != 0).any(0))


@pytest.mark.parametrize("wrong", [{"pixels": 0}, {"share": 1.5}, {"budget": 0}, {"period": 1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Patch(**wrong)  # type: ignore[arg-type]
