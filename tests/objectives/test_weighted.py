import math

import numpy as np
import pytest

from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.objectives.mean import Mean
from blackbox_am.objectives.weighted import Weighted


def test_scores_the_sum_without_dividing() -> None:
    activations = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]])
    score = Weighted(("a:0", "b:1", "c:2"), (1, -2, 0.5)).score(activations)
    np.testing.assert_array_equal(score, [1 - 4 + 1.5, 2 + 0.25])


def test_is_the_sum_written_with_the_algebra() -> None:
    weighted = Weighted(("a:0", "b:1", "c:2"), (1, -2, 0.5))
    written = Mean(("a:0",)) - 2 * Mean(("b:1",)) + 0.5 * Mean(("c:2",))
    assert weighted.reads() == written.reads()
    activations = np.random.default_rng(0).standard_normal((50, 3))
    np.testing.assert_allclose(weighted.score(activations), written.score(activations))


def test_a_weight_of_zero_does_not_hide_a_missing_activation() -> None:
    assert math.isnan(Weighted(("a:0", "b:1"), (1, 0)).score(np.array([1.0, np.nan])))


@pytest.mark.parametrize(
    ("weights", "title"),
    [
        ((1,), "u:0"),
        ((-1,), "-u:0"),
        ((2, -0.5), "2*u:0 - 0.5*u:1"),
        ((-2, 1), "-2*u:0 + u:1"),
        ((1, 1, 1, 1, 1), "u:0 + u:1 + u:2 + 2 more"),
    ],
)
def test_titles(weights: tuple[float, ...], title: str) -> None:
    assert str(Weighted(tuple(f"u:{i}" for i in range(len(weights))), weights)) == title


@pytest.mark.parametrize(
    ("addresses", "weights", "message"),
    [
        ((), (), "one quantity or more"),
        (("a:0",), (), "one weight a quantity"),
        (("a:0", "a:1"), (1.0,), "1 weights for 2 quantities"),
        (("a:0",), (math.nan,), "finite"),
        (("a:0",), (math.inf,), "finite"),
    ],
)
def test_bad_weights(addresses: tuple[str, ...], weights: tuple[float, ...], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Weighted(addresses, weights)


def test_bad_addresses() -> None:
    with pytest.raises(InvalidInput, match="not a unit"):
        Weighted(("a:b",), (1.0,))
