"""What every oracle must do. Subclass `OracleContract` and give it your oracle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import REDUCTIONS, Unit, check_unit
from blackbox_am.errors import ShapeMismatch, UnknownUnit

ROWS = 8


def stimuli_for(info: OracleInfo, rows: int = ROWS, seed: int = 0) -> torch.Tensor:
    """(rows, *stimulus) uniform random stimuli."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, *info.stimulus_shape, generator=generator)


def units_for(info: OracleInfo) -> list[Unit]:
    """First and last unit of every layer."""
    return [Unit(layer.name, i) for layer in info.layers for i in {0, layer.units - 1}]


def _positions(layer: LayerInfo) -> list[Unit]:
    others = [n for n, axis in zip(layer.shape, layer.axes, strict=True) if axis != "unit"]
    return [Unit(layer.name, 0, tuple(n - 1 for n in others))] if others else []


class OracleContract:
    """Override the fixture `oracle`; the tests are inherited.

    Example:
        >>> class TestMine(OracleContract):
        ...     @pytest.fixture
        ...     def oracle(self):
        ...         return Mine()
    """

    @pytest.fixture
    def oracle(self) -> Oracle:
        raise NotImplementedError("override the fixture `oracle` with yours")

    def test_describes_itself_alike_each_time(self, oracle: Oracle) -> None:
        assert oracle.describe() == oracle.describe()
        info = oracle.describe()
        assert (*info.wrappers, info.kind)[0] == oracle.kind

    def test_layers_are_addressable(self, oracle: Oracle) -> None:
        info = oracle.describe()
        names = [layer.name for layer in info.layers]
        assert names
        assert len(set(names)) == len(names)
        for layer in info.layers:
            assert len(layer.shape) == len(layer.axes)
            assert layer.axes.count("unit") == 1
            assert len(layer.labels) in (0, layer.units)
            unit = Unit(layer.name, layer.units - 1)
            assert Unit.parse(str(unit)) == unit
            check_unit(info, unit)

    def test_one_row_a_stimulus_and_one_column_a_unit(self, oracle: Oracle) -> None:
        info = oracle.describe()
        units = units_for(info)
        for rows in (1, ROWS):
            answer = oracle.observe(stimuli_for(info, rows), units)
            assert answer.shape == (rows, len(units))
            assert answer.dtype in (torch.float32, torch.float64)
            assert answer.isfinite().all()

    def test_answers_depend_on_the_stimulus(self, oracle: Oracle) -> None:
        info = oracle.describe()
        answer = oracle.observe(stimuli_for(info), units_for(info))
        assert (answer.std(dim=0) > 0).any()

    def test_columns_follow_the_order_asked_for(self, oracle: Oracle) -> None:
        info = oracle.describe()
        _needs_determinism(info)
        units = units_for(info)
        stimuli = stimuli_for(info)
        forward = oracle.observe(stimuli, units)
        assert torch.equal(oracle.observe(stimuli, units[::-1]), forward.flip(1))
        for column in {0, len(units) - 1}:
            alone = oracle.observe(stimuli, [units[column]])
            assert torch.equal(alone[:, 0], forward[:, column])

    def test_a_unit_may_be_asked_for_twice(self, oracle: Oracle) -> None:
        info = oracle.describe()
        unit = units_for(info)[0]
        answer = oracle.observe(stimuli_for(info), [unit, unit])
        assert torch.equal(answer[:, 0], answer[:, 1])

    def test_rows_do_not_mix(self, oracle: Oracle) -> None:
        info = oracle.describe()
        _needs_determinism(info)
        units = units_for(info)
        stimuli = stimuli_for(info)
        answer = oracle.observe(stimuli, units)
        torch.testing.assert_close(
            oracle.observe(stimuli.flip(0), units), answer.flip(0), rtol=1e-3, atol=1e-4
        )

    def test_same_stimuli_same_answers(self, oracle: Oracle) -> None:
        info = oracle.describe()
        _needs_determinism(info)
        units = units_for(info)
        stimuli = stimuli_for(info)
        assert torch.equal(oracle.observe(stimuli, units), oracle.observe(stimuli, units))

    def test_leaves_the_stimuli_alone(self, oracle: Oracle) -> None:
        info = oracle.describe()
        stimuli = stimuli_for(info)
        before = stimuli.clone()
        oracle.observe(stimuli, units_for(info))
        assert torch.equal(stimuli, before)

    def test_reductions_are_in_order(self, oracle: Oracle) -> None:
        info = oracle.describe()
        _needs_determinism(info)
        layer = info.layers[0]
        units = [Unit(layer.name, None, None, reduce) for reduce in REDUCTIONS]
        answer = oracle.observe(stimuli_for(info), units)
        mean, high, low, _, square = answer.unbind(1)
        assert (low <= mean + 1e-5).all()
        assert (mean <= high + 1e-5).all()
        assert (mean.square() <= square * (1 + 1e-5) + 1e-6).all()

    def test_positions_where_there_are_maps(self, oracle: Oracle) -> None:
        info = oracle.describe()
        if Capability.MAPS not in info.capabilities:
            pytest.skip("this oracle has no maps")
        units = [unit for layer in info.layers for unit in _positions(layer)]
        assert oracle.observe(stimuli_for(info), units).isfinite().all()

    def test_unknown_units_are_refused(self, oracle: Oracle) -> None:
        info = oracle.describe()
        layer = info.layers[0]
        for unit in (Unit("no_such_layer", 0), Unit(layer.name, layer.units)):
            with pytest.raises(UnknownUnit):
                oracle.observe(stimuli_for(info), [unit])

    def test_stimuli_of_another_shape_are_refused(self, oracle: Oracle) -> None:
        info = oracle.describe()
        wrong = torch.rand(2, *info.stimulus_shape, 2)
        with pytest.raises(ShapeMismatch, match="stimuli"):
            oracle.observe(wrong, units_for(info))

    def test_gradients_as_declared(self, oracle: Oracle) -> None:
        info = oracle.describe()
        stimuli = stimuli_for(info).requires_grad_()
        answer = oracle.observe(stimuli, units_for(info))
        assert answer.requires_grad == (Capability.GRADIENTS in info.capabilities)
        with torch.no_grad():
            assert not oracle.observe(stimuli, units_for(info)).requires_grad
        if not answer.requires_grad:
            return
        (slopes,) = torch.autograd.grad(answer[0].sum(), stimuli)
        assert slopes[0].isfinite().all()
        assert slopes[0].abs().max() > 0
        assert slopes[1:].abs().max() == 0

    def test_threads_do_not_disturb_each_other(self, oracle: Oracle) -> None:
        info = oracle.describe()
        _needs_determinism(info)
        units = units_for(info)
        batches = [stimuli_for(info, seed=seed) for seed in range(6)]
        with torch.no_grad():
            expected = [oracle.observe(batch, units) for batch in batches]

        def ask(batch: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return oracle.observe(batch, units)

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(ask, batches))
        for answer, value in zip(answers, expected, strict=True):
            torch.testing.assert_close(answer, value, rtol=1e-3, atol=1e-4)


def _needs_determinism(info: OracleInfo) -> None:
    if not info.deterministic:
        pytest.skip("this oracle answers differently each time")
