"""Numbers as people have them become arrays without losing a bit or a failed measurement."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from blackbox_am.core.numbers import numbers_in

EXACT = 1.0 + 2.0**-40

NUMBERS: dict[str, tuple[Any, list[float]]] = {
    "list": ([EXACT, 2], [EXACT, 2.0]),
    "with None": ([EXACT, None], [EXACT, np.nan]),
    "masked": (np.ma.masked_array([EXACT, 5.0], [False, True]), [EXACT, np.nan]),
    "masked integers": (np.ma.masked_array([3, 5], [False, True]), [3.0, np.nan]),
    "without a mask": (np.ma.masked_array([EXACT, 5.0]), [EXACT, 5.0]),
    "long double": (np.array([EXACT, 2.0], np.longdouble), [EXACT, 2.0]),
    "decimal": ([Decimal(EXACT), Decimal("0.5")], [EXACT, 0.5]),
    "fraction": ([Fraction(1, 4), 1], [0.25, 1.0]),
    "series": (pd.Series([EXACT, 2.0], index=[7, 3]), [EXACT, 2.0]),
    "big endian": (np.array([EXACT, 2.0], ">f8"), [EXACT, 2.0]),
    "tensor with a graph": (torch.tensor([1.5, 2.0]).requires_grad_(), [1.5, 2.0]),
    "bfloat16": (torch.tensor([1.5, 2.0]).bfloat16(), [1.5, 2.0]),
    "booleans": ([True, False], [1.0, 0.0]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str) -> None:
    values, expected = NUMBERS[name]
    found = numbers_in(values)
    assert found is not None
    np.testing.assert_array_equal(found.astype(np.float64), expected)
    assert found.dtype.itemsize <= 8


@pytest.mark.parametrize(
    "values",
    [["a", "b"], [1j, 2.0], np.ones(2, complex), {"a": 1.0}, [[1.0], [1.0, 2.0]], [10**400, None]],
)
def test_what_is_no_number(values: Any) -> None:
    assert numbers_in(values) is None
