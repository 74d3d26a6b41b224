"""Spaces sample their prior and project into themselves."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Box, Product, Space, Sphere, build_space
from blackbox_am.core.spec import SpaceSpec

SPECS = {
    "normal": SpaceSpec("normal", 6),
    "sphere": SpaceSpec("sphere", 6),
    "small sphere": SpaceSpec("sphere", 6, radius=0.5),
    "box": SpaceSpec("box", 6, low=(-1.0,), high=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0)),
    "categorical": SpaceSpec("categorical", 6, categories=4),
    "product": SpaceSpec(
        "product",
        6,
        parts=(SpaceSpec("sphere", 4), SpaceSpec("box", 2, low=(0.0,), high=(1.0,))),
    ),
    "mixed": SpaceSpec(
        "product",
        6,
        parts=(SpaceSpec("sphere", 4), SpaceSpec("categorical", 2, categories=4)),
    ),
    "product of codes": SpaceSpec(
        "product",
        6,
        parts=(
            SpaceSpec("categorical", 4, categories=7),
            SpaceSpec("categorical", 2, categories=3),
        ),
    ),
}


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys())
def space(request: pytest.FixtureRequest) -> Space:
    return build_space(request.param)


def test_samples_have_a_place_for_each_target(space: Space) -> None:
    latents = space.sample(Stream(0, "ask", 0, (0, 1, 2)), 5)
    assert latents.shape == (3, 5, space.dim)
    assert latents.dtype == (space.dtype or torch.float32)
    assert torch.equal(latents[2:], space.sample(Stream(0, "ask", 0, (2,)), 5))


def test_samples_lie_in_the_space(space: Space) -> None:
    latents = space.sample(Stream(0, "ask", 0), 50)
    torch.testing.assert_close(space.project(latents), latents)


def test_projecting_twice_is_projecting_once(space: Space) -> None:
    wild = 10 * Stream(1, "ask", 0).normal(50, space.dim)
    once = space.project(wild.to(space.dtype or torch.float32))
    torch.testing.assert_close(space.project(once), once)


def test_kind_and_dimension_come_from_the_specification(space: Space) -> None:
    assert (space.kind, space.dim) == (space.spec.kind, 6)


@pytest.mark.parametrize(("radius", "expected"), [(None, math.sqrt(6)), (0.5, 0.5)])
def test_sphere_has_its_radius(radius: float | None, expected: float) -> None:
    space = build_space(SpaceSpec("sphere", 6, radius=radius))
    assert isinstance(space, Sphere)
    norms = space.sample(Stream(0, "ask", 0), 100).norm(dim=-1)
    torch.testing.assert_close(norms, torch.full_like(norms, expected))


def test_sphere_keeps_directions_and_survives_its_centre() -> None:
    space = build_space(SpaceSpec("sphere", 2, radius=2.0))
    projected = space.project(torch.tensor([[30.0, 40.0], [0.0, 0.0]]))
    torch.testing.assert_close(projected[0], torch.tensor([1.2, 1.6]))
    assert projected.isfinite().all()


def test_box_fills_its_bounds() -> None:
    space = build_space(SPECS["box"])
    assert isinstance(space, Box)
    latents = space.sample(Stream(0, "ask", 0), 20_000)[0]
    low, high = space.bounds(latents)
    assert (latents >= low).all()
    assert (latents <= high).all()
    torch.testing.assert_close(latents.mean(0), (low + high).expand(6) / 2, atol=0.05, rtol=0)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6))
def test_box_moves_only_what_is_outside(values: list[float]) -> None:
    space = build_space(SPECS["box"])
    latents = torch.tensor(values)
    projected = space.project(latents)
    inside = (latents >= -1) & (latents <= torch.arange(6.0))
    assert torch.equal(projected[inside], latents[inside])
    assert (projected >= -1).all()
    assert (projected <= torch.arange(6.0)).all()


def test_codes_are_uniform() -> None:
    space = build_space(SPECS["categorical"])
    counts = space.sample(Stream(0, "ask", 0), 10_000).flatten().bincount(minlength=4)
    assert len(counts) == 4
    assert (counts - 15_000).abs().max() < 700


def test_product_treats_its_parts_apart() -> None:
    space = build_space(SPECS["product"])
    assert isinstance(space, Product)
    latents = torch.full((3, 6), 7.0)
    first, second = space.split(space.project(latents))
    torch.testing.assert_close(first, torch.ones(3, 4))
    assert torch.equal(second, torch.ones(3, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_mixed_space_holds_whole_codes_among_numbers(dtype: torch.dtype) -> None:
    space = build_space(SPECS["mixed"])
    latents = space.sample(Stream(0, "ask", 0, (0, 1), dtype=dtype), 200)
    assert latents.dtype == dtype
    codes = latents[..., 4:]
    assert torch.equal(codes, codes.round())
    assert sorted(codes.unique().tolist()) == [0, 1, 2, 3]
    assert space.mixed
    assert space.dtype is None
    assert space.categories == (0, 0, 0, 0, 4, 4)
    assert space.codes(latents.device).tolist() == [False] * 4 + [True] * 2


def test_projecting_a_mixed_space_rounds_to_the_nearest_code() -> None:
    space = build_space(SPECS["mixed"])
    latents = torch.tensor([[2.0, 0, 0, 0, -0.4, 1.6], [2.0, 0, 0, 0, -9.0, 99.0]])
    projected = space.project(latents)
    torch.testing.assert_close(projected, torch.tensor([[2.0, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]]))
    assert not projected[:, 4].signbit().any(), "-0 and 0 would have different checksums"
    assert torch.equal(space.project(projected), projected)


def test_a_product_of_codes_is_whole_numbers() -> None:
    space = build_space(SPECS["product of codes"])
    assert space.dtype == torch.int64
    latents = space.sample(Stream(0, "ask", 0), 200)[0]
    assert latents.amax(0).tolist() == [6, 6, 6, 6, 2, 2]
    assert not build_space(SPECS["categorical"]).mixed
    assert not build_space(SPECS["product"]).mixed
    assert build_space(SPECS["product"]).categories == (0,) * 6
