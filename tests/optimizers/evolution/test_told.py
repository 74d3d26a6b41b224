"""Compiled passes over latents compute what torch computes, each target by itself."""

from __future__ import annotations

import pytest
import torch

from blackbox_am.core import blocks
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers._frame import Frame, frame_of
from blackbox_am.optimizers.evolution._told import (
    SLAB,
    drawn,
    drawn_in_pairs,
    moment,
    moments,
    moments_by_torch,
    proposals,
    reach,
)

DIMS = (1, 3, 63, 64, 65, 200, 512, 1100)


def frame(dim: int, like: torch.Tensor) -> Frame:
    return frame_of(build_space(SpaceSpec("box", dim, low=(-1.0,), high=(3.0,))), like)


def generation(
    targets: int, population: int, dim: int, dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    """Latents, a mean and a spread that fit together, and weights."""
    stream = Stream(0, "test", dim, range(targets), dtype=dtype)
    mean, spread = stream.normal(dim), stream.uniform(dim) + 0.1
    latents = drawn(frame(dim, mean), mean, spread, stream, population)
    weights = stream.normal(population)
    return {
        "latents": latents,
        "mean": mean,
        "spread": spread,
        "weights": weights,
        "weights_of_squares": stream.normal(population),
    }


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("dim", DIMS)
def test_moments_are_those_of_torch(dim: int, balanced: bool) -> None:
    for population in (2, 5, 20):
        told = generation(3, population, dim)
        told["latents"][0, 1] += 1000  # too long, and shortened
        told["latents"][1, 0] = torch.inf  # not finite
        told["latents"][2, 1] = torch.nan  # did not come back
        told["weights"][2, 1] = told["weights_of_squares"][2, 1] = 0.0
        of = frame(dim, told["mean"])
        found = moments(of, **told, balanced=balanced)
        torch.testing.assert_close(found, moments_by_torch(of, **told, balanced=balanced))
        del told["weights_of_squares"]
        torch.testing.assert_close(moment(of, **told), found[0], rtol=0, atol=0)


def test_moments_say_what_torch_says_of_one_deviation_for_all_coordinates() -> None:
    told = generation(2, 6, 70)
    told["spread"] = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    of = frame(70, told["mean"])
    torch.testing.assert_close(moments(of, **told), moments_by_torch(of, **told))


def test_a_long_step_counts_as_one_at_the_limit() -> None:
    dim = 9
    of = frame_of(build_space(SpaceSpec("normal", dim)), torch.empty(0))
    mean, spread = torch.zeros(1, dim), torch.ones(1, dim)
    latents = torch.zeros(1, 2, dim)
    latents[0, 0, 4] = 1e6
    first, squares = moments(of, latents, mean, spread, torch.ones(1, 2), torch.ones(1, 2))
    assert first[0, 4] == pytest.approx(reach(dim))
    assert squares[0, 4] == pytest.approx(reach(dim) ** 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_target_has_the_bits_that_it_has_alone(dtype: torch.dtype) -> None:
    for dim in DIMS:
        told = generation(7, 6, dim, dtype)
        whole = moments(frame(dim, told["mean"]), **told, balanced=True)
        for k in (0, 3, 6):
            lone = {name: value[k : k + 1].clone() for name, value in told.items()}
            alone = moments(frame(dim, told["mean"]), **lone, balanced=True)
            assert torch.equal(torch.cat(alone), torch.stack([part[k] for part in whole]))


@pytest.mark.parametrize(("targets", "population", "dim"), [(1, 2, 3), (40, 6, 700), (3, 64, 4096)])
def test_latents_are_the_normal_numbers_of_the_stream(
    targets: int, population: int, dim: int
) -> None:
    """However the targets are divided into slabs."""
    assert targets == 1 or targets * population * dim * 4 > SLAB
    numbers = Stream(1, "ask", 0, range(targets))
    mean, spread = numbers.normal(dim), numbers.uniform(dim) + 0.1
    of = frame(dim, mean)
    normal = Stream(1, "ask", 1, range(targets)).normal(population, dim)
    latents = drawn(of, mean, spread, Stream(1, "ask", 1, range(targets)), population)
    assert torch.equal(latents, proposals(of, mean, spread, normal.clone()))

    half = population // 2
    steps = Stream(1, "ask", 2, range(targets)).normal(half, dim)
    pairs = drawn_in_pairs(of, mean, spread, Stream(1, "ask", 2, range(targets)), population)
    assert torch.equal(pairs[:, :half], proposals(of, mean, spread, steps.clone()))
    assert torch.equal(pairs[:, half:], proposals(of, mean, -spread, steps))


def test_large_latents_take_the_memory_of_those_that_are_gone() -> None:
    of = frame(4096, torch.empty(0))
    mean, spread = torch.zeros(8, 4096), torch.ones(8, 4096)
    stream = Stream(0, "ask", 0, range(8))
    latents = drawn(of, mean, spread, stream, 64)
    assert latents.nbytes > blocks.LARGE
    place = latents.data_ptr()
    again = drawn(of, mean, spread, stream, 64)
    assert again.data_ptr() != place
    del latents
    assert drawn(of, mean, spread, stream, 64).data_ptr() == place
