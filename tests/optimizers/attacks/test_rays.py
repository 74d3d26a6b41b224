"""RayS: rays, blocks and radii."""

import pytest
import torch

from blackbox_am.core.optimizer import Proposal
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.attacks.rays import Rays
from blackbox_am.testing.searches import Search

SLOPE = torch.linspace(-1.0, 1.5, 24)
BIAS = 2.0


def line(dimension: int = 24) -> Space:
    return build_space(SpaceSpec("box", dimension, low=(-1.0,), high=(1.0,)))


def beyond_the_plane(latents: torch.Tensor, _: int) -> torch.Tensor:
    """1 where a linear model is fooled."""
    return ((latents * SLOPE).sum(-1) > BIAS).to(torch.float64)


def test_it_finds_the_signs_of_a_plane_and_its_distance() -> None:
    search = Search(Rays(tolerance=1e-4), line(), score=beyond_the_plane)
    search.run(400)
    distance = BIAS / float(SLOPE.abs().sum())
    assert search.state.radius.tolist() == pytest.approx([distance] * 3, abs=2e-4)
    assert (search.state.ray.sign() * SLOPE.sign() >= 0).all()


def test_a_flip_is_tested_at_the_best_radius_and_a_miss_costs_one_query() -> None:
    search = Search(Rays(), line(), score=beyond_the_plane, targets=(0,))
    while not bool(search.state.known.all()) or bool(search.state.searching.any()):
        search.run(1)
    tested = {0}
    for _ in range(40):
        before = search.state
        asked = search.run(1)[-1][0, 0]
        if bool(before.searching.any()):
            continue
        assert float(asked.abs().max()) == pytest.approx(float(before.radius[0]), rel=1e-6)
        places = (asked.sign() != before.ray[0].sign()).nonzero().flatten()
        assert int(places.max() - places.min()) + 1 == len(places), "a block of neighbours"
        tested.add(len(places))
    assert {24, 12, 6, 3} <= tested, "the whole, halves, quarters and eighths"


def test_the_first_ray_is_drawn_until_it_fools_the_model() -> None:
    search = Search(Rays(), line(), score=lambda latents, _: latents.sum(-1) * 0, targets=(0,))
    rays = torch.stack(search.run(5))[:, 0, 0]
    assert set(rays.unique().tolist()) == {-1.0, 1.0}
    assert len(rays.unique(dim=0)) == 5


def test_a_failed_row_is_asked_again() -> None:
    search = Search(Rays(), line(), score=beyond_the_plane, targets=(0,))
    search.run(6)
    asked = search.ask()
    search.tell(asked, torch.full((1, 1), torch.nan))
    assert torch.equal(search.ask(), asked)


def test_a_start_is_the_first_ray() -> None:
    start = (SLOPE * 0.5).expand(3, -1).contiguous()
    search = Search(Rays(), line(), score=beyond_the_plane, start=start)
    search.run(1)
    assert torch.allclose(search.state.ray, start)
    assert search.state.known.all()
    second = search.ask()[:, 0]
    assert torch.allclose(second, start.clamp(-0.5, 0.5))


def test_stimuli_of_eight_bits_have_radii_of_whole_steps_within_the_range() -> None:
    inputs = torch.randint(0, 256, (3, 1, 4, 6)).float() / 255
    generator = Perturbation(inputs.numpy(), radius=1.0, squash=False, bits=8)
    rays = Rays().bind(generator, lambda _: pytest.fail("no network"))
    search = Search(rays, generator.space, score=beyond_the_plane)
    search.optimizer = rays
    for _ in range(60):
        latents = search.run(1)[-1][:, 0]
        steps = latents * 255
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        stimuli = inputs.flatten(1) + latents
        assert stimuli.min() >= -1e-6
        assert stimuli.max() <= 1 + 1e-6


def test_bad_parameters() -> None:
    with pytest.raises(ValueError, match="tolerance must be positive"):
        Rays(tolerance=0.0)
    assert Proposal.of(torch.zeros(1, 1, 2)).padded(3).mask().tolist() == [[True, False, False]]
