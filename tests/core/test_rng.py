"""Random numbers are a function of position, and of nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.rng import Stream, position_seed

DRAWS = {
    "normal": lambda stream: stream.normal(4, 3),
    "uniform": lambda stream: stream.uniform(4, 3),
    "integers": lambda stream: stream.integers(1000, 4, 3),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_a_target_draws_what_it_would_draw_alone(draw) -> None:
    together = draw(Stream(3, "ask", 5, (0, 7, 2)))
    assert together.shape == (3, 4, 3)
    for row, target in enumerate((0, 7, 2)):
        assert torch.equal(draw(Stream(3, "ask", 5, (target,)))[0], together[row])


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_position_fixes_the_numbers_and_every_part_counts(draw) -> None:
    one = draw(Stream(3, "ask", 5))
    assert torch.equal(one, draw(Stream(3, "ask", 5)))
    for other in (
        Stream(4, "ask", 5),
        Stream(3, "init", 5),
        Stream(3, "ask", 6),
        Stream(3, "ask", 5, (1,)),
    ):
        assert not torch.equal(one, draw(other))


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_successive_draws_differ(draw) -> None:
    stream = Stream(0, "ask", 0)
    assert not torch.equal(draw(stream), draw(stream))


def test_global_generators_are_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = Stream(0, "ask", 0).normal(5)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(one, Stream(0, "ask", 0).normal(5))


def test_laws() -> None:
    stream = Stream(0, "ask", 0)
    normal, uniform = stream.normal(100_000)[0], stream.uniform(100_000)[0]
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    counts = np.bincount(stream.integers(5, 100_000)[0].numpy(), minlength=5)
    assert len(counts) == 5
    assert abs(counts - 20_000).max() < 1_000


def test_dtype() -> None:
    assert Stream(0, "ask", 0, dtype=torch.float64).normal(2).dtype == torch.float64
    assert Stream(0, "ask", 0, dtype=torch.float64).integers(3, 2).dtype == torch.int64


@given(
    seed=st.integers(-(2**63), 2**63 - 1), generation=st.integers(0, 10**9), k=st.integers(0, 10**5)
)
def test_seeds_fit_a_generator(seed: int, generation: int, k: int) -> None:
    assert 0 <= position_seed(seed, "ask", generation, k) < 2**63
    Stream(seed, "ask", generation, (k,)).normal(1)


def test_seeds_do_not_run_into_one_another() -> None:
    """Digits that move from one part of the position to the next make another seed."""
    positions = [(1, 23, 4), (12, 3, 4), (1, 2, 34), (123, 4, 0)]
    assert len({position_seed(s, "ask", g, k) for s, g, k in positions}) == len(positions)


def test_seeds_for_other_libraries_are_those_of_the_position() -> None:
    stream = Stream(5, "ask", 3, (2, 7))
    assert stream.seeds == tuple(position_seed(5, "ask", 3, k) for k in (2, 7))
    assert Stream(5, "ask", 4, (2,)).seeds[0] not in stream.seeds


def test_a_part_of_a_stream_draws_the_numbers_of_its_targets() -> None:
    whole, stream = Stream(5, "ask", 3, (2, 7, 4)), Stream(5, "ask", 3, (2, 7, 4))
    first, second = whole.normal(20), whole.uniform(6)
    part = stream.at((2, 0))
    assert part.targets == (4, 2)
    assert part.seeds == (stream.seeds[2], stream.seeds[0])
    assert torch.equal(part.normal(20), first[[2, 0]])
    assert torch.equal(part.uniform(6), second[[2, 0]])
    assert torch.equal(stream.at((1,)).normal(20), first[[1]])
