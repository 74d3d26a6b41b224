"""HopSkipJump: phases, probes, and the distance of a plane."""

import math

import pytest
import torch

from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.attacks._boundary import between, length, probes
from blackbox_am.optimizers.attacks.hopskipjump import PROBE, HopSkipJump
from blackbox_am.testing.searches import Search

SLOPE = torch.linspace(-1.0, 1.5, 24)


def line(dimension: int = 24) -> Space:
    return build_space(SpaceSpec("box", dimension, low=(-1.0,), high=(1.0,)))


def test_many_targets_have_smaller_generations() -> None:
    space = build_space(SpaceSpec("box", 3072, low=(-1.0,), high=(1.0,), image_shape=(3, 32, 32)))
    for targets, expected in ((1, 128), (300, 128), (1000, 43)):
        attack = HopSkipJump().resolve(space, SearchContext(100, targets))
        size = attack.population_size(space)
        assert size == expected
        assert targets * size * 3072 * 4 <= 2**29


def beyond_a_plane(latents: torch.Tensor, target: int) -> torch.Tensor:
    """1 where a linear model is fooled; its plane has another distance for each target."""
    return ((latents * SLOPE).sum(-1) > 0.5 + target).to(torch.float64)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_it_comes_near_the_distance_of_a_plane(norm: str) -> None:
    search = Search(HopSkipJump(norm=norm, tolerance=0.01), line(), score=beyond_a_plane)
    told = search.run(120)
    dual = float(SLOPE.norm() if norm == "l2" else SLOPE.abs().sum())
    for target in range(3):
        rows = torch.cat([latents[target] for latents in told])
        fooling = rows[beyond_a_plane(rows, target) == 1]
        closest = float(length(fooling, norm).min())  # type: ignore[arg-type]
        assert 1 <= closest * dual / (0.5 + target) < 1.15


def test_the_estimate_points_across_the_plane() -> None:
    search = Search(
        HopSkipJump(norm="l2", probes=400, population=400), line(), score=beyond_a_plane
    )
    while not bool((search.state.probed >= 400).all()):
        search.run(1)
    direction = search.optimizer._direction(search.state)
    cosine = (direction * SLOPE).sum(1) / SLOPE.norm()
    assert cosine.min() > 0.85


def test_every_phase_asks_for_its_own_number_of_rows() -> None:
    """Targets in different phases share a generation; the probes come in several generations."""
    attack = HopSkipJump(probes=25, places=3, jumps=4, population=10)
    search = Search(attack, line(), score=beyond_a_plane)
    counts = []
    for _ in range(60):
        phases = search.state.phase.tolist()
        wanted = search.propose().mask().sum(1).tolist()
        left = search.state.left.tolist()
        expected = {0: 1, 1: 3, 3: 4}
        for phase, count, rest in zip(phases, wanted, left, strict=True):
            assert count == (min(rest, 10) if phase == PROBE else expected[phase])
        counts.append(tuple(wanted))
        search.run(1)
    assert any(len(set(one)) > 1 for one in counts), "all targets were in the same phase"


def test_rows_that_no_target_wants_are_left_out() -> None:
    search = Search(HopSkipJump(probes=40, places=3, jumps=4), line(), score=beyond_a_plane)
    shapes = set()
    for _ in range(30):
        asked = search.optimizer.ask(search.space, search.state, search.stream("ask"))
        probing = search.state.phase == PROBE
        most = int(search.state.left[probing].amax()) if bool(probing.any()) else 0
        assert asked.latents.shape == (3, 32 * -(-most // 32) or 4, 24)
        shapes.add(asked.latents.shape[1])
        search.run(1)
    assert {4, 64} <= shapes


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_places_on_the_way_have_parts_of_the_norm(norm: str) -> None:
    goal = torch.randn(2, 30, generator=torch.Generator().manual_seed(1))
    parts = torch.tensor([[0.0, 0.25, 1.0], [0.1, 0.5, 0.9]], dtype=torch.float64)
    places = between(goal, parts, norm)  # type: ignore[arg-type]
    for row in range(3):
        found = length(places[:, row], norm)  # type: ignore[arg-type]
        expected = parts[:, row] * length(goal, norm)  # type: ignore[arg-type]
        assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(between(goal, torch.ones(2, 1).double(), norm)[:, 0], goal)  # type: ignore[arg-type]


def test_probes_are_equal_in_parts_of_a_column() -> None:
    parts = torch.tensor([1, 2, 8])
    drawn = probes((2, 8, 5), parts, torch.ones(3), 0.0, Stream(0, "ask", 0, (0, 1, 2)), 6)
    for target, count in enumerate(parts.tolist()):
        image = drawn[target].reshape(6, 2, count, 8 // count, 5)
        assert torch.equal(image, image[:, :, :, :1].expand_as(image))
        assert len(image[0].unique()) == 2 * count * 5
    norms = drawn.norm(dim=-1)
    assert float(norms[2].mean()) == pytest.approx(1.0, abs=0.2)


def test_small_probes_of_whole_steps_are_right_in_expectation() -> None:
    """Their deviation is a tenth of a step, so that rounding to the nearest leaves nothing."""
    step, deviation, size = 1 / 255, 0.1 / 255, (1, 1, 2000)
    reach = torch.tensor([deviation * math.sqrt(2000)])
    drawn = probes(size, torch.tensor([1]), reach, step, Stream(3, "ask", 0, (0,)), 200)[0]
    steps = drawn / step
    assert torch.allclose(steps, steps.round(), atol=1e-5)
    assert float(steps.mean()) == pytest.approx(0.0, abs=2e-3)
    # A value v becomes a whole step with probability |v|, whose mean is sqrt(2 / pi) deviations.
    assert float(steps.abs().mean()) == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.02)


def test_a_jump_that_misses_gets_smaller_and_then_more_probes() -> None:
    search = Search(
        HopSkipJump(jumps=4, population=128), line(), score=beyond_a_plane, targets=(0,)
    )
    while int(search.state.phase) != 3:
        search.run(1)
    size, probed = float(search.state.size), float(search.state.probed)
    misses = torch.zeros(1, 128, dtype=torch.float64)
    search.tell(search.ask(), misses)
    assert float(search.state.size) == pytest.approx(size / 16)
    search.tell(search.ask(), misses)
    assert int(search.state.phase) == PROBE
    assert float(search.state.probed) == probed, "the estimate goes on"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"probes": 0}, "probes must be at least 1"),
        ({"places": 0}, "places must be at least 1"),
        ({"jumps": 0}, "jumps must be at least 1"),
        ({"rounds_per_scale": -1}, "rounds_per_scale must be at least 0"),
        ({"reach": 0.0}, "reach must be positive"),
        ({"tolerance": 1.0}, "tolerance is a part of a distance"),
    ],
)
def test_bad_parameters(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HopSkipJump(**parameters)  # type: ignore[arg-type]
