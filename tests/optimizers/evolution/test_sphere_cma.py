"""Evolution on a sphere: its geometry, its schedules, and tops it finds."""

import math
from collections.abc import Callable

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.evolution.sphere_cma import SphereCMA, scattered, slerp
from blackbox_am.testing.searches import Search

Rows = Callable[..., list[float]]


def _units(n: int, dim: int) -> torch.Tensor:
    rows = torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return rows / rows.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0, 1.5])
def test_slerp_is_the_textbook_formula(t: float) -> None:
    start, goal = _units(8, 5).chunk(2)
    w = torch.acos((start * goal).sum(-1, keepdim=True))
    expected = (torch.sin((1 - t) * w) * start + torch.sin(t * w) * goal) / torch.sin(w)
    found = slerp(start, goal, t)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4, dtype=torch.float64))


def test_slerp_where_there_is_no_arc() -> None:
    start = _units(3, 6)
    for goal in (start, -start, start + 1e-17):
        torch.testing.assert_close(slerp(start, goal, 1.5), start)


@pytest.mark.parametrize("degrees", [7.33, 50.0, 90.0])
def test_samples_lie_at_the_angle(degrees: float) -> None:
    centre = _units(2, 400)
    normal = torch.randn(
        2, 50, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    rate = torch.full((2,), math.radians(degrees) / 20, dtype=torch.float64)
    found = scattered(centre, normal, rate)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 50, dtype=torch.float64))
    angles = torch.acos((found * centre.unsqueeze(1)).sum(-1)).rad2deg()
    assert angles.mean().item() == pytest.approx(degrees, rel=0.02)
    # Each is its own normal row, made perpendicular and bent to the sphere.
    tangent = normal - (normal * centre.unsqueeze(1)).sum(-1, keepdim=True) * centre.unsqueeze(1)
    expected = (tangent.norm(dim=-1) * rate[0]).rad2deg()
    torch.testing.assert_close(angles, expected)


def test_published_schedules() -> None:
    generation = torch.tensor([1, 2, 38, 74, 75, 500])
    exponential = SphereCMA().degrees(generation)
    steps = torch.logspace(math.log10(50), math.log10(7.33), 74, dtype=torch.float64)
    torch.testing.assert_close(exponential, steps[[0, 1, 37, 73, 73, 73]])
    linear = SphereCMA(schedule="lin").degrees(generation)
    torch.testing.assert_close(
        linear, torch.linspace(50, 7.33, 74, dtype=torch.float64)[[0, 1, 37, 73, 73, 73]]
    )
    inverse = SphereCMA(schedule="inv").degrees(generation)
    assert inverse[0].item() == pytest.approx(15 + 1 / 0.0146)
    assert inverse[-1].item() == pytest.approx(15 + 1 / (0.0017 * 74 + 0.0146))


@pytest.mark.parametrize("horizon", [1, 2, 3, 10])
def test_the_horizon_stretches_the_schedule(horizon: int) -> None:
    last = SphereCMA(horizon=horizon).degrees(torch.tensor([max(horizon, 3), 100]))
    assert last.tolist() == pytest.approx([7.33, 7.33])


@pytest.mark.parametrize(
    ("spec", "radius"),
    [
        (SpaceSpec("normal", 16), 0.7 * 4),
        (SpaceSpec("sphere", 16), 4.0),
        (SpaceSpec("sphere", 16, radius=3.0), 3.0),
    ],
)
def test_keeps_to_the_sphere(spec: SpaceSpec, radius: float) -> None:
    search = Search(SphereCMA(radius_scale=0.7), build_space(spec), dtype=torch.float64)
    for latents in search.run(6):
        expected = torch.full(latents.shape[:2], radius, dtype=torch.float64)
        torch.testing.assert_close(latents.norm(dim=-1), expected)


def test_measures_the_centre_and_does_not_rank_it() -> None:
    space = build_space(SpaceSpec("sphere", 8))
    search = Search(SphereCMA(population=6), space, targets=(0,), dtype=torch.float64)
    search.run(2)
    latents = search.ask()
    torch.testing.assert_close(latents[:, 0], math.sqrt(8) * search.state.centre)
    scores = search.scores(latents)
    outcomes = []
    for score in (-1e9, 1e9):
        scores[0, 0] = score
        outcomes.append(search.optimizer.tell(space, search.state, latents, scores).centre)
    assert torch.equal(*outcomes)


def test_starts_again_after_a_first_generation_that_failed() -> None:
    space = build_space(SpaceSpec("sphere", 30))
    search = Search(SphereCMA(), space, targets=(0, 1))
    scores = torch.full((2, 40), torch.nan)
    scores[1] = torch.arange(40)
    search.tell(search.ask(), scores)
    assert search.state.started.tolist() == [False, True]
    cosine = (search.ask()[:, 1:] * search.state.centre.unsqueeze(1)).sum(-1) / math.sqrt(30)
    assert cosine[0].abs().mean() < 0.3
    assert cosine[1].mean() > 0.4


@pytest.mark.parametrize("kind", ["sphere", "normal"])
@pytest.mark.parametrize(("dim", "budget"), [(16, 1_000), (64, 2_000), (512, 4_000)])
def test_climbs(kind: str, dim: int, budget: int, rows_to_reach: Rows) -> None:
    """A schedule of 40 rows a generation that ends with the budget."""
    space = build_space(SpaceSpec(kind, dim))  # type: ignore[arg-type]
    needed = rows_to_reach(
        "sphere_cma",
        space,
        lambda x: x[..., 0] / dim**0.5 - 1,
        target=-0.05,
        budget=budget,
        horizon=budget // 40,
        targets=2,
    )
    assert max(needed) <= budget


def test_refuses_boxes() -> None:
    box = build_space(SpaceSpec("box", 4, low=(0.0,), high=(1.0,)))
    with pytest.raises(Unsupported, match="sphere_cma cannot search a box space"):
        SphereCMA().check(box)
