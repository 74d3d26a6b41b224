"""Octaves: grids, transitions between them, and what is refused."""

from typing import Any

import pytest
import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer, Proposal, SearchContext
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.optimizers.choosing import _grids
from blackbox_am.optimizers.choosing._coarse_to_fine import CoarseToFine
from blackbox_am.optimizers.choosing._grids import Grid
from blackbox_am.optimizers.choosing.gradient_octaves import GradientOctaves
from blackbox_am.optimizers.choosing.octaves import Octaves
from blackbox_am.testing import searches
from blackbox_am.testing.optimizers import OptimizerContract
from blackbox_am.testing.searches import Search

NORMAL = SpaceSpec("normal", 36, image_shape=(2, 3, 6))
BOX = SpaceSpec("box", 48, low=(0.0,), high=(1.0,), image_shape=(3, 4, 4))


def space(spec: SpaceSpec = NORMAL) -> Space:
    return build_space(spec)


class TestThroughItsOctaves(OptimizerContract):
    """The contract, kept while targets go from one octave to the next."""

    @pytest.fixture(params=["snes", "adam", pytest.param("cma", marks=pytest.mark.slow)])
    def optimizer(self, request: pytest.FixtureRequest) -> Optimizer[Any]:
        kind: Any = GradientOctaves if request.param == "adam" else Octaves
        optimizer: Optimizer[Any] = kind(inner=request.param, generations=(2, 3))
        return optimizer

    @pytest.fixture(autouse=True)
    def images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(searches, "SPACES", (NORMAL, BOX))


@pytest.mark.parametrize("coarse", [(1, 1), (2, 3), (3, 5), (3, 6), (5, 8)])
def test_enlarging_is_torchs_bilinear_interpolation(coarse: tuple[int, int]) -> None:
    grid = Grid(2, coarse, (5, 8))
    images = torch.randn(3, 4, grid.dim, dtype=torch.float64)
    found = grid.enlarge(images)
    expected = torch.nn.functional.interpolate(
        images.reshape(12, 2, *coarse), (5, 8), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(found, expected.reshape(3, 4, -1))


@pytest.mark.parametrize("coarse", [(1, 1), (2, 3), (3, 5), (5, 8)])
def test_reducing_undoes_enlarging_and_is_the_nearest(coarse: tuple[int, int]) -> None:
    grid = Grid(2, coarse, (5, 8))
    images = torch.randn(3, 4, grid.dim, dtype=torch.float64)
    torch.testing.assert_close(grid.reduce(grid.enlarge(images)), images)
    latents = torch.randn(3, 4, 80, dtype=torch.float64)
    rest = latents - grid.enlarge(grid.reduce(latents))
    torch.testing.assert_close(grid.pull_back(rest), torch.zeros_like(images))


@pytest.mark.parametrize("coarse", [(2, 3), (5, 8)])
def test_the_gradient_of_a_coarse_image_is_that_of_autograd(coarse: tuple[int, int]) -> None:
    grid = Grid(2, coarse, (5, 8))
    images = torch.randn(1, 2, grid.dim, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1, 2, 80, dtype=torch.float64)
    (slopes,) = torch.autograd.grad((grid.enlarge(images).sin() * weights).sum(), images)
    outer = grid.enlarge(images).detach().cos() * weights
    torch.testing.assert_close(grid.pull_back(outer), slopes)


def test_grids_double_and_equal_ones_are_left_out() -> None:
    assert _grids.sizes((8, 8), 2, 3) == [(2, 2), (4, 4), (8, 8)]
    assert _grids.sizes((3, 6), 2, 3) == [(1, 2), (2, 3), (3, 6)]
    assert _grids.sizes((2, 2), 2, 5) == [(1, 1), (2, 2)]
    assert _grids.sizes((32, 32), 1.4, 3) == [(16, 16), (23, 23), (32, 32)]


def test_the_budget_sets_the_lengths_of_octaves() -> None:
    context = SearchContext(queries_per_target=1000)
    found = Octaves(parameters={"population": 10}, share=0.4).resolve(space(), context)
    assert found.generations == (20, 20)
    assert found.resolve(space(), context) == found
    few = Octaves(parameters={"population": 10}).resolve(space(), SearchContext(25))
    assert few.generations == (1,)
    assert Octaves(parameters={"population": 10}).resolve(space(), SearchContext(5)).octaves == 1


def test_candidates_of_the_first_octave_are_enlarged_images() -> None:
    search = Search(Octaves(generations=(2, 2)), space())
    for _ in range(2):
        latents = search.run(1)[-1]
        grid = Grid(2, (1, 2), (3, 6))
        torch.testing.assert_close(grid.enlarge(grid.reduce(latents)), latents)
    assert search.state.octave.tolist() == [1, 1, 1]


def test_an_octave_begins_where_the_last_one_ended() -> None:
    search = Search(Octaves(generations=(3, 2)), space())
    for generations, octave in ((3, 1), (2, 2)):
        search.run(generations)
        assert search.state.octave.tolist() == [octave] * 3
        carried = search.state.carried
        torch.testing.assert_close(search.ask()[:, 0], carried, rtol=0, atol=0)
        center = search.center()
        assert center is not None
        torch.testing.assert_close(center, carried)
    assert not search.state.detail.any()  # the whole image is searched


def test_a_given_start_keeps_its_details() -> None:
    start = torch.randn(3, 36)
    search = Search(Octaves(generations=(2, 2)), space(), start=start)
    center = search.center()
    assert center is not None
    torch.testing.assert_close(center, start)
    assert torch.equal(search.ask()[:, 0], start)
    grid = Grid(2, (1, 2), (3, 6))
    beyond = search.ask() - start.unsqueeze(1)
    torch.testing.assert_close(grid.enlarge(grid.reduce(beyond)), beyond, atol=1e-5, rtol=1e-4)


def test_targets_of_different_octaves_go_on_side_by_side() -> None:
    """Target 1 rests while the others reach the next octave."""
    search = Search(Octaves(generations=(3, 30)), space(BOX))
    alone = Search(Octaves(generations=(3, 30)), space(BOX), targets=(1,))
    search.run(2)
    alone.run(2)
    rested = search.keep((0, 2))
    search.run(4)
    search.state = states.merge(rested, torch.tensor([0, 2]), search.state)
    search.targets = (0, 1, 2)
    alone.generation = search.generation
    assert search.state.octave.tolist() == [1, 0, 1]
    for _ in range(4):
        assert torch.equal(search.run(1)[-1][1], alone.run(1)[-1][0])
    assert search.state.octave.tolist() == [1, 1, 1]


def test_smaller_populations_of_coarse_grids_are_masked() -> None:
    """The default population of `cma` grows with the dimension."""
    wide = space(SpaceSpec("normal", 2 * 12 * 12, image_shape=(2, 12, 12)))
    optimizer = Octaves(inner="cma", generations=(1, 1))
    inner = optimizer.search
    sizes = {inner.population_size(build_space(SpaceSpec("normal", n))) for n in (18, 72, 288)}
    search = Search(optimizer, wide)
    proposal = Proposal.of(search.propose())
    assert proposal.latents.shape[1] == max(sizes)
    assert proposal.mask().sum(1).tolist() == [min(sizes)] * 3
    search.run(4)
    assert search.propose().mask().all()


def test_a_box_is_left_by_no_candidate() -> None:
    search = Search(Octaves(generations=(3, 3)), space(BOX))
    for latents in search.run(9):
        assert latents.min() >= 0
        assert latents.max() <= 1


@pytest.mark.parametrize(
    ("kind", "inner"),
    [(kind, inner) for kind in (Octaves, GradientOctaves) for inner in kind.searches],
)
def test_every_inner_search_climbs(kind: type[CoarseToFine], inner: str) -> None:
    assert kind.searches[inner].order == kind.order
    search = Search(kind(inner=inner, generations=(10, 10)), space())
    first = search.scores(search.ask()).amax(1)
    search.run(60)
    center = search.center()
    assert center is not None
    last = search.scores(center.unsqueeze(1))[:, 0]
    assert last.mean() > 0.5 * first.mean()  # scores are below 0


def test_latents_that_are_no_images_are_refused() -> None:
    for spec in (SpaceSpec("normal", 36), SpaceSpec("box", 4, low=(0.0,), high=(1.0,))):
        with pytest.raises(Unsupported, match="searches latents that are images"):
            Octaves().check(build_space(spec))
    with pytest.raises(Unsupported, match="cannot search a sphere"):
        Octaves().check(build_space(SpaceSpec("sphere", 4, image_shape=(1, 2, 2))))
    bounds = SpaceSpec("box", 2, low=(0.0,), high=(1.0, 2.0), image_shape=(1, 1, 2))
    with pytest.raises(Unsupported, match="same bounds for every coordinate"):
        Octaves().check(build_space(bounds))
    with pytest.raises(InvalidSpec, match="has 1 with a factor of 2"):
        Octaves(generations=(5, 5)).check(space(SpaceSpec("normal", 2, image_shape=(1, 1, 2))))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"octaves": 0}, "octaves must be at least 1"),
        ({"factor": 1.0}, "factor must be above 1"),
        ({"share": 1.0}, "share must be above 0 and below 1"),
        ({"generations": (0, 3)}, "generations must be at least 1 each"),
        ({"generations": (1, 1, 1)}, "fewer grids than octaves"),
    ],
)
def test_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Octaves(**parameters)


@pytest.mark.parametrize("factor", [1.1, 1.2, 1.4, 2.0])
@pytest.mark.parametrize("side", [2, 3, 4, 8])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_every_ladder_of_grids_is_searched_to_its_end(
    factor: float, side: int, share: float
) -> None:
    space = build_space(SpaceSpec("normal", side * side, image_shape=(1, side, side)))
    given = Octaves(octaves=4, factor=factor, share=share, parameters={"population": 10})
    resolved = given.resolve(space, SearchContext(queries_per_target=200))
    resolved.check(space)
    assert resolved.octaves == len(resolved.generations) + 1
    assert sum(resolved.generations) < 20, "the latent image itself gets no generation"


def test_inner_restarts_are_refused() -> None:
    with pytest.raises(ValueError, match="restarts = 1, got 2"):
        GradientOctaves(inner="adam", parameters={"restarts": 2})
