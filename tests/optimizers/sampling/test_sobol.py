"""Quasi-random points are the prior, and spread more evenly than random ones."""

import pytest
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.sampling.random import Random
from blackbox_am.optimizers.sampling.sobol import MAX_DIMENSION, Sobol, sequence
from blackbox_am.testing.searches import Search

UNIT = SpaceSpec("box", 4, low=(0.0,), high=(1.0,))


def _discrepancy(points: torch.Tensor) -> float:
    """L2-star discrepancy, by Warnock's formula."""
    n, dim = points.shape
    single = (1 - points.square()).prod(-1).sum()
    pairs = (1 - torch.maximum(points.unsqueeze(0), points.unsqueeze(1))).prod(-1).sum()
    return float((3.0**-dim - 2 ** (1 - dim) * single / n + pairs / n**2).sqrt())


def _points(name: type[Sobol] | type[Random], space: Space, generations: int) -> torch.Tensor:
    search = Search(name(population=64), space, dtype=torch.float64)
    return torch.cat(search.run(generations), dim=1)


def test_low_discrepancy() -> None:
    space = build_space(UNIT)
    quasi, pseudo = (_points(kind, space, 4) for kind in (Sobol, Random))
    for k in range(3):
        assert _discrepancy(quasi[k]) < 0.5 * _discrepancy(pseudo[k])


def test_every_stratum_of_every_coordinate_is_visited_once() -> None:
    for points in _points(Sobol, build_space(UNIT), 4):
        strata = (points * 256).floor().to(torch.int64).sort(dim=0).values
        assert torch.equal(strata, torch.arange(256).unsqueeze(-1).expand(256, 4))


def test_generations_follow_one_another() -> None:
    whole = sequence(5, 77, 0, 24)
    pieces = [sequence(5, 77, start, 8) for start in (16, 0, 8)]
    assert torch.equal(whole, torch.cat([pieces[1], pieces[2], pieces[0]]))


def test_targets_have_sequences_of_their_own() -> None:
    points = _points(Sobol, build_space(UNIT), 1)
    assert not torch.equal(points[0], points[1])


def test_normal_coordinates_have_their_law() -> None:
    points = _points(Sobol, build_space(SpaceSpec("normal", 3)), 8)
    assert points.isfinite().all()
    assert points.mean(1).abs().max() < 0.02
    assert (points.std(1) - 1).abs().max() < 0.03
    share = (points < 1).double().mean(1)
    assert (share - 0.8413).abs().max() < 0.01


def test_other_spaces() -> None:
    sphere = _points(Sobol, build_space(SpaceSpec("sphere", 6, radius=2.0)), 2)
    torch.testing.assert_close(sphere.norm(dim=-1), torch.full((3, 128), 2.0, dtype=torch.float64))
    parts = (SpaceSpec("box", 2, low=(3.0, -1.0), high=(5.0, 0.0)), SpaceSpec("normal", 2))
    product = _points(Sobol, build_space(SpaceSpec("product", 4, parts=parts)), 4)
    low, high = product[..., :2].amin((0, 1)), product[..., :2].amax((0, 1))
    assert low.tolist() == pytest.approx([3, -1], abs=0.02)
    assert high.tolist() == pytest.approx([5, 0], abs=0.02)
    assert product[..., 2:].abs().max() > 2


def test_refuses_dimensions_without_direction_numbers() -> None:
    assert MAX_DIMENSION == 21201
    Sobol().check(build_space(SpaceSpec("normal", MAX_DIMENSION)))
    with pytest.raises(Unsupported, match=r"21201 dimensions.*has 21202; use `random`"):
        Sobol().check(build_space(SpaceSpec("normal", MAX_DIMENSION + 1)))


def test_learns_nothing() -> None:
    space = build_space(UNIT)
    one, other = (
        Search(Sobol(), space, score=s).run(3)[-1]
        for s in (lambda x, _: x[:, 0], lambda x, _: -x[:, 0])
    )
    assert torch.equal(one, other)
