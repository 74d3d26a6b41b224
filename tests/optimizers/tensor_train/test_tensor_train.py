"""PROTES: the law, its gradient, its two sets of sweeps, the grid, and whole searches."""

import itertools
import math
import time

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.optimizers.tensor_train import _adam as _tt_adam
from blackbox_am.optimizers.tensor_train import _law as _tt_law
from blackbox_am.optimizers.tensor_train._grid import joined
from blackbox_am.optimizers.tensor_train.tensor_train import TensorTrain
from blackbox_am.testing.searches import SPACES, Search, same
from tests.optimizers.tensor_train import by_torch

SIZES = [(2, 7), (3, 5), (12, 4)]
CODES = SpaceSpec("categorical", 12, categories=4)


def _cores(
    size: int, modes: int, *, signed: bool = True, targets: int = 2, rank: int = 3
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size * 100 + modes)
    shape = (targets, modes, size, rank, rank)
    cores = torch.rand(shape, generator=generator, dtype=torch.float64)
    return 2 * cores - 1 if signed else cores


def _uniform(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def _all(size: int, modes: int) -> torch.Tensor:
    """(M, n^M) int32: every multi-index."""
    return torch.tensor(list(itertools.product(range(size), repeat=modes)), dtype=torch.int32).T


def test_law_of_a_positive_train_is_its_tensor() -> None:
    cores = _cores(3, 4, signed=False)[:1]
    everything = _all(3, 4)
    entries = torch.tensor(
        [
            torch.linalg.multi_dot([core[i] for core, i in zip(cores[0], index, strict=True)])[0, 0]
            for index in everything.T.tolist()
        ],
        dtype=torch.float64,
    )
    found = by_torch.log_likelihood(cores, everything.unsqueeze(0), 0.0)[0].exp()
    torch.testing.assert_close(found, entries / entries.sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.3])
@pytest.mark.parametrize(("size", "modes"), [(2, 6), (3, 4)])
def test_law_adds_up_to_one(size: int, modes: int, floor: float) -> None:
    everything = _all(size, modes).expand(2, -1, -1)
    total = by_torch.log_likelihood(_cores(size, modes), everything, floor).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("plain", [False, True])
def test_samples_come_as_often_as_the_law_says(plain: bool) -> None:
    cores, count = _cores(3, 4), 40_000
    draw = by_torch.draw_by_torch if plain else _tt_law.draw
    numbers = draw(cores, _uniform(2, 4, count), 0.0).to(torch.int64)
    place = (numbers * torch.tensor([27, 9, 3, 1]).view(-1, 1)).sum(1)
    everything = _all(3, 4).expand(2, -1, -1)
    expected = by_torch.log_likelihood(cores, everything, 0.0).exp() * count
    for seen, wanted in zip(place, expected, strict=True):
        surprise = ((seen.bincount(minlength=81) - wanted).square() / wanted).sum()
        assert surprise < 80 + 4 * math.sqrt(160)  # chi squared with 80 degrees of freedom


@pytest.mark.parametrize("floor", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("size", "modes", "bits"), [(2, 8, 1), (2, 8, 2), (5, 6, 1), (12, 4, 1)])
def test_both_sweeps_draw_the_same(size: int, modes: int, bits: int, floor: float) -> None:
    cores, uniform = _cores(size, modes), _uniform(2, modes, 70)
    found = _tt_law.draw(cores, uniform, floor, bits)
    assert torch.equal(found, by_torch.draw_by_torch(cores, uniform, floor, bits))
    assert found.unique().numel() == size**bits


@pytest.mark.parametrize("floor", [0.0, 0.2])
@pytest.mark.parametrize(("size", "modes"), SIZES)
def test_gradient_is_that_of_autograd(size: int, modes: int, floor: float) -> None:
    cores = _cores(size, modes)
    picks = _tt_law.draw(cores, _uniform(2, modes, 20), 0.5)
    weights = _uniform(2, 20)
    found = _tt_law.ascent(cores, picks, weights, floor)
    expected = by_torch.ascent_by_torch(cores, picks, weights, floor)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)
    assert (found.abs().amax((1, 2, 3, 4)) > 0.1).all()


def test_gradient_is_that_of_differences() -> None:
    cores, floor, step = _cores(3, 4)[:1], 0.1, 1e-6
    picks, weights = _tt_law.draw(cores, _uniform(1, 4, 8), 0.5), _uniform(1, 8)
    found = _tt_law.ascent(cores, picks, weights, floor)
    for place in [(0, 0, 1, 0, 2), (0, 1, 2, 1, 1), (0, 2, 0, 2, 0), (0, 3, 1, 1, 0)]:
        sums = []
        for sign in (1, -1):
            moved = cores.clone()
            moved[place] += sign * step
            sums.append((weights * by_torch.log_likelihood(moved, picks, floor)).sum())
        assert found[place].item() == pytest.approx(
            ((sums[0] - sums[1]) / (2 * step)).item(), rel=1e-4, abs=1e-6
        )


def test_adam_is_that_of_torch_on_both_paths() -> None:
    start = _uniform(3, 20)
    slopes = _uniform(4, 3, 20) - 0.5
    expected = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([expected], lr=0.05, maximize=True)
    for slope in slopes:
        expected.grad = slope.clone()
        optimizer.step()
    for climb in (_tt_adam.climb, by_torch.climb_by_torch):
        point, first, second = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
        learns = torch.tensor([True, True, False])
        for age, slope in enumerate(slopes, start=1):
            climb(point, slope, first, second, torch.full((3,), age), learns, 0.05)
        torch.testing.assert_close(point[:2], expected.data[:2])
        assert torch.equal(point[2], start[2])
        assert not first[2].any()


def test_searches_alike_on_both_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    space = build_space(CODES)
    optimizer = TensorTrain(population=20, elites=4, gradient_steps=2)
    compiled = Search(optimizer, space, dtype=torch.float64).run(6)
    monkeypatch.setattr(_tt_law, "draw", by_torch.draw_by_torch)
    monkeypatch.setattr(_tt_law, "ascent", by_torch.ascent_by_torch)
    plain = Search(optimizer, space, dtype=torch.float64).run(6)
    assert torch.equal(torch.stack(compiled), torch.stack(plain))


def test_floor_is_drawn_from_a_law_that_has_collapsed() -> None:
    cores = torch.zeros(1, 50, 4, 1, 1)
    cores[:, :, 2] = 1.0
    picks = _tt_law.draw(cores, _uniform(1, 50, 2000).float(), 0.2)
    shares = picks.flatten().bincount(minlength=4) / picks.numel()
    torch.testing.assert_close(shares, torch.tensor([0.05, 0.05, 0.85, 0.05]), rtol=0.0, atol=0.005)


def test_exploration_keeps_a_search_from_ending() -> None:
    """Without it all candidates are the same in the end."""
    different = {}
    for exploration in (0.0, 2.0):
        search = Search(TensorTrain(exploration=exploration), build_space(CODES), targets=(0,))
        different[exploration] = len(search.run(150)[-1][0].unique(dim=0))
    assert different[0.0] <= 4
    assert different[2.0] >= 10


@pytest.mark.parametrize("split", [False, True])
def test_finds_a_planted_code(split: bool) -> None:
    space = build_space(CODES)
    wanted = torch.arange(12) * 7 % 4
    optimizer = TensorTrain(split_codes=split)
    search = Search(optimizer, space, score=lambda x, k: (x == (wanted + k) % 4).double().sum(-1))
    latents = torch.stack(search.run(60))
    best = torch.stack([search.scores(rows).amax(-1) for rows in latents]).amax(0)
    assert best.tolist() == [12.0, 12.0, 12.0]


def test_closes_in_on_a_hill() -> None:
    """The best of as many random rows scores -4."""
    search = Search(TensorTrain(), build_space(SpaceSpec("normal", 16)))
    best = torch.stack([search.scores(rows).amax(-1) for rows in search.run(150)]).amax(0)
    assert (best > -1.0).all(), best


def test_learns_from_the_best_rows_that_came_back() -> None:
    """A failed row among the elites is replaced by none: of 100 rows 10 are elites, of 50 five."""
    space = build_space(CODES)
    optimizer = TensorTrain(population=100, elites=10)
    scores = torch.arange(100, dtype=torch.float64).expand(3, -1).clone()
    few = scores.clone()
    few[:, 50:] = torch.nan
    searches = []
    for told in (few, torch.where(few >= 45, few, -1.0)):
        search = Search(optimizer, space)
        search.tell(search.ask(), told)
        searches.append(search)
    assert not same(searches[0].state, searches[1].state)  # the second told 100 rows
    expected = TensorTrain(population=50, elites=5)
    half = Search(expected, space)
    latents = searches[0].told or Search(optimizer, space).ask()
    half.tell(latents[:, :50], scores[:, :50])
    torch.testing.assert_close(half.state.cores, searches[0].state.cores)


@pytest.mark.parametrize("left", [0, 1])
def test_a_generation_without_an_order_teaches_nothing(left: int) -> None:
    search = Search(TensorTrain(), build_space(CODES))
    search.run(2)
    before = {name: getattr(search.state, name).clone() for name in ("cores", "first", "steps")}
    latents = search.ask()
    scores = search.scores(latents)
    scores[1:, left:] = torch.nan
    search.tell(latents, scores)
    for name, tensor in before.items():
        assert torch.equal(getattr(search.state, name)[1:], tensor[1:]), name
        assert not torch.equal(getattr(search.state, name)[0], tensor[0]), name


@pytest.mark.parametrize("spec", SPACES, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("split", [False, True])
def test_latents_of_a_grid_lead_back_to_it(spec: SpaceSpec, split: bool) -> None:
    grid = TensorTrain(bits=5, split_codes=split).grid_of(build_space(spec), torch.empty(0))
    stream = Stream(1, "grid", 0, (0, 1))
    indices = stream.integers(grid.size, grid.modes, 30).to(torch.int32)
    latents = grid.latents(joined(indices, grid.bits))
    assert latents.shape == (2, 30, spec.dimension)
    assert torch.equal(grid.indices(latents), indices)


def test_grid_of_the_prior() -> None:
    grid = TensorTrain(bits=10).grid_of(build_space(SpaceSpec("normal", 1)), torch.empty(0))
    points = grid.latents(torch.arange(1024).view(1, -1)).flatten()
    assert points.mean().item() == pytest.approx(0, abs=1e-5)
    assert points.std().item() == pytest.approx(1, abs=0.01)
    even = TensorTrain(bits=2, grid="even").grid_of(
        build_space(SpaceSpec("normal", 1)), torch.empty(0)
    )
    assert even.latents(torch.arange(4).view(1, -1)).flatten().tolist() == [-3, -1, 1, 3]


def test_grid_of_a_box_has_its_bounds() -> None:
    space = build_space(SpaceSpec("box", 2, low=(-1.0,), high=(0.0, 3.0)))
    grid = TensorTrain(bits=2).grid_of(space, torch.empty(0, dtype=torch.float64))
    points = grid.latents(torch.arange(4).expand(2, -1))
    expected = torch.stack((torch.linspace(-1, 0, 4), torch.linspace(-1, 3, 4)), -1)
    torch.testing.assert_close(points, expected.double())


def test_bits_are_the_lowest_first() -> None:
    bits = torch.tensor([[1], [0], [1], [0], [1], [1]], dtype=torch.int32)
    assert joined(bits, 3).flatten().tolist() == [5, 6]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"population": 1}, "population must be at least 2"),
        ({"elites": 0}, "elites must be at least 1"),
        ({"population": 10, "elites": 10}, "elites must be fewer than the population of 10"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"gradient_steps": 0}, "gradient_steps must be at least 1"),
        ({"exploration": -1.0}, "exploration must be finite and not negative, got -1"),
        ({"exploration": float("inf")}, "exploration must be finite"),
        ({"bits": 0}, r"bits must be in 1\.\.16, got 0"),
        ({"bits": 17}, "bits must be in"),
        ({"limit": -2.0}, "limit must be positive"),
        ({"grid": "sparse"}, "grid"),
        ({"max_bytes": 0}, "max_bytes must be positive"),
    ],
)
def test_explains_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.optimizers.build("tensor_train", parameters)


def test_refuses_to_split_codes_that_are_not_all_the_bits() -> None:
    space = build_space(SpaceSpec("categorical", 4, categories=6))
    with pytest.raises(Unsupported, match=r"power of 2.*has 6"):
        TensorTrain(split_codes=True).check(space)
    TensorTrain().check(space)


def test_refuses_cores_that_would_not_fit() -> None:
    space = build_space(SpaceSpec("categorical", 1000, categories=10**6 - 1))
    with pytest.raises(Unsupported, match="more than max_bytes"):
        TensorTrain().check(space)
    small = TensorTrain(max_bytes=100_000)
    small.check(build_space(CODES))
    with pytest.raises(Unsupported, match="500 targets"):
        small.init(build_space(CODES), 500, Stream(1, "init", 0, range(500)))


@pytest.mark.slow
@pytest.mark.parametrize("exploration", [0.0, 1.0])
def test_ten_thousand_generations_in_single_precision(exploration: float) -> None:
    """A law that has long collapsed, on a target that moves: it is finite, and still learns."""
    space = build_space(CODES)
    optimizer = TensorTrain(population=20, elites=4, gradient_steps=1, exploration=exploration)
    search = Search(optimizer, space, targets=(0,))
    search.run(10_000)
    assert search.state.cores.isfinite().all()
    assert search.state.second.isfinite().all()
    assert search.ask().unique().numel() > 0


@pytest.mark.slow
def test_compiled_sweeps_are_many_times_faster() -> None:
    """Measured 100 times; 10 leaves room for a machine that is busy."""
    cores = torch.rand(1, 600, 2, 5, 5)
    uniform = torch.rand(1, 600, 100)
    weights = torch.full((1, 10), 0.1)
    seconds = []
    for draw, ascent in (
        (_tt_law.draw, _tt_law.ascent),
        (by_torch.draw_by_torch, by_torch.ascent_by_torch),
    ):
        best = math.inf
        for _ in range(4):
            start = time.process_time()
            picks = draw(cores, uniform, 0.001)
            ascent(cores, picks[..., :10].contiguous(), weights, 0.001)
            best = min(best, time.process_time() - start)
        seconds.append(best)
    assert seconds[1] > 10 * seconds[0], seconds
