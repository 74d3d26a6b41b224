import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.objective import Objective, Product, Sum
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.objectives.mean import Mean
from blackbox_am.objectives.weighted import Weighted

A, B = Mean(("a:0",)), Mean(("b:0", "b:1"))
VALUES = {"a:0": 3.0, "b:0": 1.0, "b:1": 4.0}  # A scores 3, B 2.5


@pytest.mark.parametrize(
    ("objective", "score"),
    [
        (A + B, 5.5),
        (A - B, 0.5),
        (A * B, 7.5),
        (B * 2, 5.0),
        (2 * B, 5.0),
        (-B, -2.5),
        (0.5 * (A - B) * A, 0.75),
    ],
)
def test_the_algebra_scores_as_written(objective: Objective, score: float) -> None:
    row = np.array([VALUES[str(unit)] for unit in objective.reads()])
    assert objective.score(row) == score
    assert float(objective.score(torch.from_numpy(row))) == score


def test_each_term_reads_its_own_slice() -> None:
    joined = A + B * A
    assert [str(unit) for unit in joined.reads()] == ["a:0", "b:0", "b:1", "a:0"]
    assert joined.score(np.array([1.0, 2.0, 4.0, 10.0])) == 1 + 3 * 10


leaves = st.one_of(
    st.lists(st.integers(0, 9), min_size=1, max_size=3).map(
        lambda units: Mean(tuple(f"u:{i}" for i in units))
    ),
    st.lists(st.tuples(st.integers(0, 9), st.floats(-4, 4)), min_size=1, max_size=3).map(
        lambda pairs: Weighted(tuple(f"u:{i}" for i, _ in pairs), tuple(w for _, w in pairs))
    ),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] - pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        st.tuples(inner, st.floats(-4, 4)).map(lambda pair: pair[0] * pair[1]),
        inner.map(lambda term: -term),
    ),
    max_leaves=6,
)


@given(trees, trees, st.integers(0, 2**32 - 1))
def test_the_algebra_is_that_of_numbers(one: Objective, two: Objective, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((3, len(part.reads()))) for part in (one, two))
    both = np.concatenate([x, y], axis=1)
    a, b = one.score(x), two.score(y)
    np.testing.assert_allclose((one + two).score(both), a + b)
    np.testing.assert_allclose((one - two).score(both), a - b)
    np.testing.assert_allclose((one * two).score(both), a * b)
    np.testing.assert_allclose((-one).score(x), -a)
    np.testing.assert_allclose((3 * one).score(x), 3 * a)


def test_specifications_are_trees() -> None:
    assert (A - B).spec() == ObjectiveSpec("sum", weights=(1.0, -1.0), terms=(A.spec(), B.spec()))
    assert (A * B).spec() == ObjectiveSpec("product", terms=(A.spec(), B.spec()))
    assert isinstance(2 * A, Sum)
    assert isinstance(A * B, Product)


def test_titles_show_the_terms() -> None:
    assert str(A + B) == "a:0 + mean(b:0, b:1)"
    assert str(A * B) == "a:0 * mean(b:0, b:1)"
    assert str(A - 0.05 * B) == "a:0 - 0.05*mean(b:0, b:1)"
    assert str(-A) == "-a:0"
    assert str(2 * (A + B)) == "2*(a:0 + mean(b:0, b:1))"
    assert str(A - (B - A)) == "a:0 - (mean(b:0, b:1) - a:0)"
    assert str((A + B) * A) == "(a:0 + mean(b:0, b:1)) * a:0"


def test_one_address_needs_no_list() -> None:
    assert Mean("fc:3") == Mean(("fc:3",))  # type: ignore[arg-type]
