"""What every criterion must do. Subclass `CriterionContract` and give it your criterion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_am.core.criterion import Criterion
from blackbox_am.core.quantities import parse_quantity
from blackbox_am.core.spec import CriterionSpec, from_plain, to_plain
from blackbox_am.plugins import build_criterion


def values_for(criterion: Criterion, *shape: int) -> np.ndarray:
    """(*shape, U) float64 standard normal values."""
    return np.random.default_rng(0).standard_normal((*shape, len(criterion.reads())))


class CriterionContract:
    """Override the fixture `criterion`; the tests are inherited. Of 200 rows of standard normal
    values some must meet it and some not.
    """

    @pytest.fixture
    def criterion(self) -> Criterion:
        raise NotImplementedError("override the fixture `criterion` with yours")

    def test_reads_quantities(self, criterion: Criterion) -> None:
        assert criterion.reads()
        for quantity in criterion.reads():
            assert parse_quantity(str(quantity)) == quantity

    @pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
    def test_one_answer_a_row(self, criterion: Criterion, shape: tuple[int, ...]) -> None:
        values = values_for(criterion, *shape)
        met = criterion.met(values)
        assert met.shape == shape
        assert met.dtype == np.bool_
        assert criterion.met(torch.from_numpy(values)).tolist() == met.tolist()

    def test_some_rows_meet_it_and_each_is_judged_alone(self, criterion: Criterion) -> None:
        values = values_for(criterion, 200)
        met = criterion.met(values)
        assert met.any()
        assert not met.all()
        assert [bool(criterion.met(row)) for row in values] == met.tolist()

    def test_a_row_without_values_does_not_meet_it(self, criterion: Criterion) -> None:
        values = values_for(criterion, 200)
        assert not criterion.met(np.full_like(values, np.nan)).any()
        assert not criterion.met(torch.from_numpy(np.full_like(values, np.nan))).any()

    def test_its_specification_rebuilds_it(self, criterion: Criterion) -> None:
        again = build_criterion(from_plain(CriterionSpec, to_plain(criterion.spec())))
        assert again == criterion
        values = values_for(criterion, 50)
        np.testing.assert_array_equal(again.met(values), criterion.met(values))

    def test_has_a_title(self, criterion: Criterion) -> None:
        assert str(criterion).strip()
