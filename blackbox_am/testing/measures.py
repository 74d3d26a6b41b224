"""What every measure must do. Subclass `MeasureContract` and give it your measure."""

from __future__ import annotations

import pytest
import torch

from blackbox_am.core.measure import Measure, Rendered
from blackbox_am.core.quantities import MeasureName, parse_quantity
from blackbox_am.plugins import measure as measure_of

SHAPES = ((3, 6, 6), (2, 9), (7,))
"""Of images, series and table rows."""


def rendered(shape: tuple[int, ...], rows: int = 5) -> Rendered:
    """Random stimuli of `shape`, with latents and inputs to compare with."""
    generator = torch.Generator().manual_seed(3)

    def draw(*size: int) -> torch.Tensor:
        return torch.rand(*size, generator=generator)

    return Rendered(draw(rows, 4), draw(rows, *shape), draw(rows, *shape))


@pytest.mark.parametrize("shape", SHAPES)
class MeasureContract:
    """Override the fixture `measure`; the tests are inherited."""

    @pytest.fixture
    def measure(self) -> Measure:
        raise NotImplementedError("override the fixture `measure` with yours")

    def test_its_names_are_quantities_and_lead_to_it(
        self, measure: Measure, shape: tuple[int, ...]
    ) -> None:
        measure.check(shape)
        assert measure.names
        for name in measure.names:
            assert parse_quantity(name) == MeasureName(name)
            assert type(measure_of(name)) is type(measure)

    def test_one_finite_number_a_row(self, measure: Measure, shape: tuple[int, ...]) -> None:
        for name in measure.names:
            values = measure.measure(name, rendered(shape))
            assert values.shape == (5,)
            assert values.dtype == torch.float32
            assert values.isfinite().all()
            assert (values >= 0).all()

    def test_rows_are_measured_alone(self, measure: Measure, shape: tuple[int, ...]) -> None:
        whole = rendered(shape)
        assert whole.references is not None
        for name in measure.names:
            values = measure.measure(name, whole)
            for row in range(5):
                one = slice(row, row + 1)
                part = Rendered(whole.latents[one], whole.stimuli[one], whole.references[one])
                torch.testing.assert_close(measure.measure(name, part), values[one])

    def test_no_gradient_is_nan(self, measure: Measure, shape: tuple[int, ...]) -> None:
        """A constant stimulus, equal to its input, is where norms have corners."""
        corner = torch.full((2, *shape), 0.5)
        for stimuli in (rendered(shape, 2).stimuli, corner, torch.zeros(2, *shape)):
            leaves = stimuli.clone().requires_grad_()
            latents = leaves.flatten(1)
            for name in measure.names:
                values = measure.measure(name, Rendered(latents, leaves, corner))
                if values.requires_grad:
                    (slopes,) = torch.autograd.grad(values.sum(), leaves, retain_graph=True)
                    assert slopes.isfinite().all()
