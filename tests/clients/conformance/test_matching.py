"""What a case expects of an answer is compared exactly."""

import numpy as np
import pytest

from blackbox_am.errors import InvalidSpec
from clients.conformance.drivers import encoding
from clients.conformance.matching import difference, mismatch

TENSOR = encoding.tensor(np.array([np.nan, np.nan], np.float32))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1, {"x": "y"}], [1, {"x": "y", "z": 0}]),
        ({"a": {"$null": True}}, {"a": None}),
        ({"a": {"$length": 2, "$contains": 3}}, {"a": [3, 4]}),
        ({"$at_least": 2}, 2.0),
        ({"$one_of": ["A", "B"]}, "B"),
        ({"$not": 5}, 6),
        ({"$matches": "^a+$"}, "aaa"),
        ({"$ends": "name"}, "spec.name"),
        ({"$gapless": True, "$from": 4}, [{"sequence": 4}, {"sequence": 5}]),
        ({"$all_nan": True, "shape": [2]}, TENSOR),
        ({"data": {"$bytes": 8}}, TENSOR),
    ],
)
def test_what_is_expected(expected, found):
    assert mismatch(expected, found) == ""


@pytest.mark.parametrize(
    ("expected", "found", "says"),
    [
        ({"a": 1}, {"a": 2}, "ok.a: expected 1, got 2"),
        ({"a": 1}, {}, "ok.a: expected 1, got None"),
        ({"a": True}, {"a": 1}, "ok.a: expected True, got 1"),
        ([1, 2], [1], "expected [1, 2], got [1]"),
        ([{"b": [1]}], [{"b": [2]}], "ok.0.b.0: expected 1, got 2"),
        ({"$length": 2}, [1], "expected length 2, got [1]"),
        ({"$length": 2}, None, "expected length 2, got None"),
        ({"$from": 2}, [3], "expected from 2, got [3]"),
        ({"$at_least": 2}, None, "expected at_least 2, got None"),
        ({"$gapless": True}, [{"sequence": 4}, {"sequence": 6}], "gapless"),
        ({"a": {"b": 1}}, {"a": 3}, "ok.a: expected a table, got 3"),
    ],
)
def test_what_is_not(expected, found, says):
    assert says in mismatch(expected, found)


def test_an_unknown_test():
    with pytest.raises(InvalidSpec, match=r"\$lenght is no test; did you mean '\$length'"):
        mismatch({"$lenght": 2}, [1, 2])


def test_answers_of_two_clients():
    one = {"study_id": "a", "best": [{"score": 0.1, "latent": TENSOR}]}
    assert difference(one, {**one, "study_id": "b"}) == ""
    other = {"best": [{"score": float(np.nextafter(0.1, 1.0)), "latent": TENSOR}]}
    assert difference(one, other).startswith("best.0.score: python 0.1, got 0.1")
    assert "best" in difference(one, {})
