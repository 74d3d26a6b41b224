"""The model functions of the protocol, computed by hand."""

import numpy as np
import pytest

from clients.conformance.drivers.models import Model, ModelFault, in_order, linear

BATCH = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], np.float32)


@pytest.mark.parametrize(
    ("spec", "scores"),
    [
        ({"name": "sphere"}, [-5.25, -10.0]),
        ({"name": "linear"}, [-3 + 4 - 0.5, -6 + 1]),
        ({"name": "linear", "shift": 5}, [2 - 6 - 1.5, 9 + 3]),
        ({"name": "mean"}, [-0.5 / 3, 2 / 3]),
        ({"name": "nan", "every": 2}, [-5.25, np.nan]),
        ({"name": "short"}, [-5.25]),
        ({"name": "units", "units": 2}, [[0.5, -2 + 2 + 0.0], [-5.0, -3.0]]),
    ],
)
def test_scores(spec, scores):
    np.testing.assert_array_equal(Model(spec)(BATCH), scores)


def test_codes():
    codes = np.array([[0, 1, 2, 0, 4], [4, 3, 2, 1, 0]], np.int64)
    np.testing.assert_array_equal(Model({"name": "codes", "categories": 3})(codes), [4.0, 1.0])


def test_a_throwing_model_counts_over_calls():
    model = Model({"name": "throws", "after": 3})
    model(BATCH)
    with pytest.raises(ModelFault, match="fell over"):
        model(BATCH)
    assert (model.measured, model.calls) == (3, 2)


def test_sums_go_from_the_first_number_to_the_last():
    numbers = np.random.default_rng(0).standard_normal(1001)
    total = 0.0
    for number in numbers:
        total += number
    assert in_order(numbers) == total
    assert linear(np.zeros(0)) == 0.0
