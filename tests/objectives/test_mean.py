import numpy as np
import pytest

from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.objectives.mean import Mean


def test_scores_the_mean() -> None:
    score = Mean(("fc:1", "fc:2")).score(np.array([[1.0, 2.0], [5.0, -5.0]]))
    np.testing.assert_array_equal(score, [1.5, 0.0])


def test_one_unit_scores_itself_to_the_last_bit() -> None:
    values = np.random.default_rng(0).standard_normal((100, 1)).astype(np.float32)
    np.testing.assert_array_equal(Mean(("fc:1",)).score(values), values[:, 0])


def test_addresses_are_kept_short() -> None:
    assert Mean(("fc:1!mean",)) == Mean(("fc:1",))
    assert Mean(("fc:1!mean",)).reads() == (Unit("fc", 1),)


@pytest.mark.parametrize(
    ("count", "title"),
    [(1, "fc:0"), (2, "mean(fc:0, fc:1)"), (9, "mean of 9 units, fc:0 to fc:8")],
)
def test_titles(count: int, title: str) -> None:
    assert str(Mean(tuple(f"fc:{i}" for i in range(count)))) == title


def test_needs_units() -> None:
    with pytest.raises(InvalidSpec, match="one quantity or more"):
        Mean(())
    with pytest.raises(InvalidInput, match="not a unit"):
        Mean(("fc:one",))
