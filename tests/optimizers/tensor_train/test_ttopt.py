"""TTOpt: index sets, submatrices of large volume, and whole searches."""

import itertools

import numpy as np
import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.optimizers.tensor_train import _cross as cross
from blackbox_am.optimizers.tensor_train.ttopt import TTOpt
from blackbox_am.testing.searches import Search, quadratic

CODES = SpaceSpec("categorical", 12, categories=4)


def test_ranks_are_as_many_as_there_are_indices() -> None:
    assert cross.ranks(6, 2, 5) == [1, 2, 4, 5, 4, 2, 1]
    assert cross.ranks(1, 9, 4) == [1, 1]
    assert cross.ranks(3, 2, 1) == [1, 1, 1, 1]
    assert max(cross.ranks(24_576, 2, 4)) == 4


def test_maxvol_is_near_the_best_submatrix() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        matrix = random.normal(size=(9, 3))
        volumes = {
            rows: abs(np.linalg.det(matrix[list(rows)]))
            for rows in itertools.combinations(range(9), 3)
        }
        found = volumes[tuple(sorted(cross.maxvol(matrix).tolist()))]
        for row, place in itertools.product(range(9), range(3)):  # no exchange is better
            rows = cross.maxvol(matrix)
            rows[place] = row
            assert abs(np.linalg.det(matrix[rows])) <= 1.0011 * found
        assert found >= max(volumes.values()) / 3


def test_choose_keeps_the_best_row() -> None:
    values = np.full((8, 2), 0.1)
    values[:, 0] += np.arange(8) * 1e-9
    values[5, 1] = 1.0
    values[2] = (0.9, -0.9)
    rows = cross.choose(values)
    assert 5 in rows
    assert len(set(rows.tolist())) == 2


def test_nested_sets_by_hand() -> None:
    left = np.zeros((4, 2, 2), np.int32)
    left[1] = [[0, 1], [0, 0]]  # (1), (0)
    left[2] = [[1, 1], [0, 0]]  # (0, 1), (1, 0)
    assert cross.prefixes(left, 2, 2).tolist() == [[0, 1], [1, 0]]
    right = np.zeros((4, 2, 2), np.int32)
    right[2] = [[0, 1], [0, 0]]
    right[1] = [[1, 1], [0, 1]]
    assert cross.suffixes(right, 1, 2).tolist() == [[1, 0], [1, 1]]


def test_a_generation_is_all_combinations_around_a_mode() -> None:
    space = build_space(SpaceSpec("categorical", 7, categories=3))
    search = Search(TTOpt(rank=2), space, targets=(0,))
    assert search.ask().shape == (1, 12, 7)
    for mode in (0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0, 1):
        latents = search.ask()[0]
        count = {0: 6, 6: 6}.get(mode, 12)
        block = [tuple(row) for row in latents[:count].tolist()]
        assert len(set(block)) == count, mode
        assert len({row[:mode] for row in block}) == (2 if mode else 1)
        assert {row[mode] for row in block} == {0, 1, 2}
        assert len({row[mode + 1 :] for row in block}) == (2 if mode < 6 else 1)
        search.run(1)


@pytest.mark.parametrize("split", [False, True])
def test_finds_a_planted_code(split: bool) -> None:
    """In fewer queries than two sweeps take."""
    wanted = torch.arange(12) * 7 % 4
    search = Search(
        TTOpt(split_codes=split),
        build_space(CODES),
        score=lambda x, k: (x == (wanted + k) % 4).double().sum(-1),
    )
    generations = 2 * 12 * (2 if split else 1)
    best = torch.stack([search.scores(rows).amax(-1) for rows in search.run(generations)]).amax(0)
    assert best.tolist() == [12.0, 12.0, 12.0]


@pytest.mark.parametrize("kind", ["normal", "box"])
def test_finds_the_nearest_point_of_the_grid(kind: str) -> None:
    bounds = {"low": (-2.0,), "high": (2.0,)} if kind == "box" else {}
    space = build_space(SpaceSpec(kind, 4, **bounds))
    search = Search(TTOpt(), space, targets=(0, 1), dtype=torch.float64)
    best = torch.stack([search.scores(rows).amax(-1) for rows in search.run(120)]).amax(0)
    points = TTOpt().grid_of(space, torch.empty(0, dtype=torch.float64))
    line = points.latents(torch.arange(64).expand(4, -1))[:, 0]
    for target, found in enumerate(best.tolist()):
        nearest = (line - 0.3 - 0.1 * target).square().min().item()
        assert found == pytest.approx(-4 * nearest, abs=1e-12)


def test_ends_of_the_sweep_are_filled_up_around_the_best() -> None:
    space = build_space(SpaceSpec("categorical", 40, categories=4))
    search = Search(TTOpt(split_codes=False), space, targets=(0,))
    seen = search.run(2 * 39)  # the next block is that of mode 0
    scores = torch.stack([search.scores(rows)[0] for rows in seen])
    generation, row = divmod(int(scores.argmax()), scores.shape[1])
    best = seen[generation][0, row]
    assert search.state.best_score.item() == scores.max().item()
    rest = search.ask()[0, 16:]
    assert 0.5 < (rest != best).sum(-1).double().mean().item() < 3


def test_scale_and_offset_of_scores_change_nothing() -> None:
    space = build_space(CODES)
    plain = Search(TTOpt(), space).run(30)
    bent = Search(TTOpt(), space, score=_scaled).run(30)
    assert torch.equal(torch.stack(plain), torch.stack(bent))


def _scaled(latents: torch.Tensor, target: int) -> torch.Tensor:
    return 1024 * quadratic(latents, target)


def test_failed_rows_do_not_end_the_search() -> None:
    """A third of the rows fail, others each time."""
    wanted = torch.arange(12) * 7 % 4
    search = Search(
        TTOpt(),
        build_space(CODES),
        score=lambda x, k: (x == wanted).double().sum(-1),
        targets=(0,),
    )
    best = 0.0
    for generation in range(150):
        latents = search.ask()
        scores = search.scores(latents)
        best = max(best, scores.max().item())
        scores[:, generation % 3 :: 3] = torch.nan
        search.tell(latents, scores)
    assert best >= 11
    assert search.state.best_score.item() >= 10


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rank": 0}, "rank must be at least 1"),
        ({"bits": 0}, r"bits must be in 1\.\.16, got 0"),
        ({"limit": 0.0}, "limit must be positive"),
        ({"grid": "odd"}, "grid"),
    ],
)
def test_explains_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.optimizers.build("ttopt", parameters)


def test_refuses_wide_modes_and_says_what_else_there_is() -> None:
    space = build_space(SpaceSpec("categorical", 64, categories=512))
    TTOpt().check(space)
    with pytest.raises(Unsupported, match=r"8192 candidates at once.*split.*tensor_train"):
        TTOpt(split_codes=False).check(space)
    with pytest.raises(Unsupported, match="power of 2"):
        TTOpt(split_codes=True).check(build_space(SpaceSpec("categorical", 4, categories=6)))
