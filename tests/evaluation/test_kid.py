"""The kernel inception distance, compared with a library's kernel and with known results."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from blackbox_am.core.images import resized
from blackbox_am.errors import InvalidInput
from blackbox_am.evaluation import kid


def sets(n=60, m=50, d=12, shift=0.0):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64)
    return x, torch.randn(m, d, generator=draw, dtype=torch.float64) + shift


def test_the_distance_is_that_of_a_librarys_kernel():
    x, y = sets(shift=0.3)
    a, b = x.numpy(), y.numpy()
    # scikit-learn's defaults are the kernel of the paper: (x.y / d + 1)^3.
    kxx, kyy, kxy = polynomial_kernel(a), polynomial_kernel(b), polynomial_kernel(a, b)
    n, m = kxy.shape
    wanted = (
        (kxx.sum() - np.trace(kxx)) / (n * (n - 1))
        + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
        - 2 * kxy.mean()
    )
    assert kid.distance(x, y).value == pytest.approx(wanted, rel=1e-12)


def test_the_error_is_the_jackknife_estimate():
    x, y = sets(9, 7, 3, 0.4)

    def value(a, b):
        return kid.squared_discrepancy(kid.kernel(a, a), kid.kernel(b, b), kid.kernel(a, b))

    variance = 0.0
    for n, without in (
        (9, [value(torch.cat([x[:i], x[i + 1 :]]), y) for i in range(9)]),
        (7, [value(x, torch.cat([y[:i], y[i + 1 :]])) for i in range(7)]),
    ):
        variance += (n - 1) / n * float(np.square(np.array(without) - np.mean(without)).sum())
    assert kid.distance(x, y).error == pytest.approx(variance**0.5, rel=1e-9)


def test_the_estimate_is_unbiased():
    # Over many pairs of small sets of one distribution the mean is 0, which a biased estimate,
    # always above it, could not be.
    found = []
    for seed in range(400):
        draw = torch.Generator().manual_seed(seed)
        x, y = (torch.randn(6, 3, generator=draw, dtype=torch.float64) for _ in range(2))
        found.append(kid.squared_discrepancy(kid.kernel(x, x), kid.kernel(y, y), kid.kernel(x, y)))
    assert min(found) < 0
    assert abs(np.mean(found)) < 4 * np.std(found) / 20


def test_sets_that_differ_more_are_further_apart():
    values = [kid.distance(*sets(shift=shift)).value for shift in (0.0, 0.3, 0.6)]
    assert values[0] < values[1] < values[2]
    assert kid.distance(*sets()).low < 0 < kid.distance(*sets()).high


def test_the_standard_error_agrees_with_repeats():
    values, errors = [], []
    for seed in range(80):
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(80, 6, generator=draw)
        y = torch.randn(80, 6, generator=draw) * 1.2 + 0.5
        found = kid.distance(x, y)
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(3, 2), torch.zeros(9, 2)),
        (torch.zeros(9, 2), torch.zeros(9, 3)),
        (torch.zeros(9), torch.zeros(9)),
    ],
)
def test_sets_that_do_not_fit_are_refused(x, y):
    with pytest.raises(InvalidInput, match="at least 4 rows of the same width"):
        kid.distance(x, y)


def test_features_that_are_not_finite_are_refused():
    x, y = sets()
    x[3, 4] = torch.nan
    with pytest.raises(InvalidInput, match="finite"):
        kid.distance(x, y)


def test_large_pictures_are_scaled_before_their_features_are_read():
    large = torch.rand(3, 3, 128, 96)
    small = resized(large, (32, 32), "bilinear")
    torch.testing.assert_close(kid.features(large), kid.features(small))
