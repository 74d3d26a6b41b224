"""SimBA: orthonormal directions without replacement, the opposite step second, in the ball."""

import numpy as np
import pytest
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.attacks.simba import Simba
from blackbox_am.testing.searches import Search


def image_space(channels: int = 2, height: int = 4, width: int = 5) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def flat(latents: torch.Tensor, _: int) -> torch.Tensor:
    return torch.zeros(len(latents), dtype=torch.float64)


@pytest.mark.parametrize("basis", ["dct", "pixels"])
def test_the_directions_are_an_orthonormal_basis(basis: str) -> None:
    space = image_space()
    like = torch.zeros(space.dim, space.dim, dtype=torch.float64)
    found = Simba(norm="l2", basis=basis)._direction(space, torch.arange(space.dim), like)
    assert torch.allclose(found @ found.T, torch.eye(space.dim, dtype=torch.float64), atol=1e-12)


def test_both_signs_of_each_direction_are_tried_without_replacement() -> None:
    space = image_space()
    search = Search(Simba(norm="l2", step=0.25, basis="pixels"), space, score=flat, targets=(0,))
    asked = [latents[0, 0] for latents in search.run(1 + 2 * space.dim)]
    assert (asked[0] == 0).all()
    places = []
    for first, second in zip(asked[1::2], asked[2::2], strict=True):
        assert torch.equal(first, -second)
        (place,) = first.nonzero().flatten().tolist()
        assert first[place] == -0.25
        places.append(place)
    assert sorted(places) == list(range(space.dim))


def test_an_accepted_step_is_followed_by_the_next_direction() -> None:
    space = image_space()
    down = Search(
        Simba(norm="l2", step=0.1, basis="pixels"),
        space,
        score=lambda x, _: -x.sum(1),
        targets=(0,),
    )
    down.run(1 + 10)
    assert down.state.change[0].nonzero().numel() == 10
    assert down.state.change.unique().tolist() == pytest.approx([-0.1, 0.0])


def test_low_frequencies_come_first() -> None:
    space = image_space(1, 8, 8)
    order = Search(Simba(block=2, stride=3), space, targets=(0,)).state.order[0]
    far = torch.maximum(order // 8, order % 8)
    assert (far[:4] < 2).all()
    assert ((far[4:25] >= 2) & (far[4:25] < 5)).all()
    assert (far[25:] >= 5).all()


@pytest.mark.parametrize(("size", "first"), [(32, 32), (224, 28)])
def test_the_first_block_follows_the_size_of_the_input(size: int, first: int) -> None:
    band = Simba()._band(image_space(1, size, size), torch.device("cpu"))
    assert (band == 0).sum() == first**2


def test_changes_stay_in_the_ball() -> None:
    space = image_space()
    corner = torch.ones(space.dim)
    for latents in Search(Simba(), space, score=lambda x, _: (x * corner).sum(1)).run(60):
        assert latents.abs().max() <= 1
    euclidean = Simba(norm="l2", basis="pixels")
    search = Search(euclidean, space, score=lambda x, _: (x * corner).sum(1))
    for latents in search.run(60):
        assert latents.flatten(1).norm(dim=1).max() < 1 + 1e-6
    assert search.state.score.min() > 0.8 * space.dim**0.5  # the greatest is the square root of D


def test_the_range_of_the_input_cuts_a_query_but_not_the_sum_of_the_steps() -> None:
    clean = np.full((1, 1, 4, 4), 0.5, dtype=np.float32)
    clean[0, 0, 0] = 0.0
    generator = Perturbation(inputs=clean, radius=0.1, squash=False)
    optimizer = Simba(basis="pixels", step=3.0).bind(generator, lambda _: None)  # type: ignore[arg-type,return-value]
    search = Search(optimizer, generator.space, targets=(0,), score=lambda x, _: x.sum(1))
    search.optimizer = optimizer
    asked = torch.cat(search.run(33))[:, 0].reshape(-1, 4, 4)
    assert asked[:, 0].min() == 0
    assert asked[:, 1:].min() == -1
    assert (search.state.change == 3).all()
    assert asked.max() == 1


@pytest.mark.parametrize("wrong", [{"step": 0.0}, {"block": 0}, {"stride": 0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Simba(**wrong)  # type: ignore[arg-type]
