import math
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, OracleFailed, OracleTimeout
from blackbox_am.oracles.function import Function
from blackbox_am.service.config import load_config
from blackbox_am.testing.oracles import OracleContract

X = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(0))


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def answers(function: Callable[..., object], *addresses: str, **more: object) -> torch.Tensor:
    return Function(function, (2, 3), **more).observe(X, units(*addresses))


class TestOneStimulusAtATime(OracleContract):
    @pytest.fixture
    def oracle(self) -> Function:
        return Function(lambda x: [x.max(), float(x.mean())], (2, 3), batch=False)


class TestDifferentiable(OracleContract):
    @pytest.fixture
    def oracle(self) -> Function:
        def energy(x: torch.Tensor) -> torch.Tensor:
            return torch.stack([(x**2).sum((1, 2)), x.sin().sum((1, 2))], dim=1)

        return Function(energy, (2, 3), arrays="torch", gradients=True)


def test_one_array_is_a_layer_of_scores() -> None:
    oracle = Function(lambda x: x.reshape(len(x), 6), (2, 3), labels=tuple("abcdef"))
    info = oracle.describe()
    (layer,) = info.layers
    assert (layer.name, layer.kind, layer.shape) == ("scores", "scores", (6,))
    assert layer.labels == tuple("abcdef")
    assert info.capabilities == Capability.SCORES | Capability.UNITS
    assert torch.equal(oracle.observe(X, units("scores:4", "scores:0")), X.flatten(1)[:, [4, 0]])


def test_one_number_a_stimulus_is_a_layer_of_one_unit() -> None:
    expected = X.mean((1, 2)).unsqueeze(1)
    torch.testing.assert_close(answers(lambda x: x.mean((1, 2)), "scores:0"), expected)
    torch.testing.assert_close(answers(np.mean, "scores:0", batch=False), expected)
    torch.testing.assert_close(answers(lambda x: x.mean(), "scores:0", batch=False), expected)


def test_maps_have_positions() -> None:
    def maps(x: np.ndarray) -> dict[str, object]:
        return {"maps": np.stack([x, -x], axis=1), "sum": x.sum((1, 2))}

    oracle = Function(maps, (2, 3))
    assert oracle.describe().capabilities == FORWARD
    assert [layer.axes for layer in oracle.describe().layers] == [
        ("unit", "height", "width"),
        ("unit",),
    ]
    answer = oracle.observe(X, units("sum:0", "maps:1@1,2", "maps:0!max"))
    torch.testing.assert_close(answer[:, 0], X.sum((1, 2)))
    assert torch.equal(answer[:, 1], -X[:, 1, 2])
    assert torch.equal(answer[:, 2], X.amax((1, 2)))


def test_it_gets_the_rows_asked_for_and_no_more() -> None:
    seen = []

    def count(x: np.ndarray) -> np.ndarray:
        seen.append(x.shape)
        return x.mean((1, 2))

    oracle = Function(count, (2, 3), batch_size=2)
    oracle.describe()
    assert seen == [(1, 2, 3)]
    oracle.observe(X, units("scores:0"))
    assert seen[1:] == [(2, 2, 3), (2, 2, 3), (1, 2, 3)]
    assert oracle.billable


def test_stimuli_may_be_written_over() -> None:
    def spoil(x: np.ndarray) -> np.ndarray:
        x *= 0
        return x.sum((1, 2))

    before = X.clone()
    assert not answers(spoil, "scores:0").any()
    assert torch.equal(X, before)


def test_nan_is_a_measurement_that_failed() -> None:
    def fails_when_bright(x: np.ndarray) -> list[float]:
        return [math.nan if row.max() > 0.95 else 1.0 for row in x]

    bright = X.amax((1, 2)) > 0.95
    assert bright.any()
    assert not bright.all()
    assert torch.equal(answers(fails_when_bright, "scores:0")[:, 0].isnan(), bright)


def test_calls_come_one_at_a_time() -> None:
    inside = []
    most = []

    def busy(x: np.ndarray) -> np.ndarray:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return x.mean((1, 2))

    oracle = Function(busy, (2, 3))
    threads = [threading.Thread(target=oracle.observe, args=(X, units("scores"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def _raise(error: Exception) -> Callable[..., object]:
    def function(x: np.ndarray) -> object:
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "batch", "message"),
    [
        (_raise(KeyError("gain")), True, r"raised KeyError on 1 stimuli of shape \(2, 3\)"),
        (_raise(KeyError("gain")), False, "raised KeyError"),
        (lambda x: None, True, "returned NoneType .* expected numbers"),
        (lambda x: ["cat"], True, "returned list .* expected numbers"),
        (lambda x: [[1], [2, 3]], True, "returned list .* expected numbers"),
        (lambda x: np.ones(1, complex), True, "expected numbers"),
        (lambda x: 3.0, True, r"given 1 stimuli and returned an array of shape \(\)"),
        (lambda x: np.zeros((7, 2)), True, r"returned an array of shape \(7, 2\).*expected 1 rows"),
        (lambda x: np.zeros((1, 0)), True, r"numbers of shape \(0,\)"),
        (lambda x: np.zeros((1, 1, 1, 1, 1, 1)), True, r"shape \(1, 1, 1, 1, 1\)"),
        (lambda x: {}, True, "without any layer"),
        (lambda x: {"": x}, True, "a layer called ''"),
    ],
)
def test_what_makes_no_sense_is_said(
    function: Callable[..., object], batch: bool, message: str
) -> None:
    with pytest.raises(OracleFailed, match=message):
        Function(function, (2, 3), batch=batch).describe()


def test_a_function_that_changes_its_answers() -> None:
    shapes = iter([(1, 4), (5, 3)])
    with pytest.raises(OracleFailed, match=r"expected an output of shape \(N, 4\)"):
        answers(lambda x: np.zeros(next(shapes)), "scores:0")
    layers = iter(["scores", "other"])
    with pytest.raises(OracleFailed, match="returned layers other; expected 'scores'"):
        answers(lambda x: {next(layers): x.mean((1, 2))}, "scores:0")
    lengths = iter([1, 1, 2, 1, 1, 1])
    with pytest.raises(OracleFailed, match="from stimulus to stimulus"):
        answers(lambda x: np.zeros(next(lengths)), "scores:0", batch=False)


def test_errors_of_ours_pass_as_they_are() -> None:
    with pytest.raises(OracleTimeout, match="rig"):
        Function(_raise(OracleTimeout("the rig is slow")), (2, 3)).describe()


def test_an_operator_names_it_in_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_model_for_tests.py").write_text(
        "class Model:\n    @staticmethod\n    def scores(x):\n        return x.mean((1, 2))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "server.toml").write_text(
        '[oracles.mine]\nkind = "function"\nfunction = "my_model_for_tests:Model.scores"\n'
        "stimulus_shape = [2, 3]\n"
    )
    oracle = load_config(tmp_path / "server.toml").catalogue.oracle("mine")
    torch.testing.assert_close(oracle.observe(X, units("scores:0"))[:, 0], X.mean((1, 2)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"function": "math.sqrt"}, "package.module:attribute"),
        ({"function": "no_such_module:f"}, "importing 'no_such_module' raised ModuleNotFound"),
        ({"function": "math:sqr"}, "has no attribute 'sqr'; did you mean 'sqrt'"),
        ({"function": "math:pi"}, "expected a callable, got float"),
        ({"function": 3}, "expected a callable, got int"),
        ({"function": abs, "stimulus_shape": ()}, "stimulus_shape"),
        ({"function": abs, "batch_size": 0}, "batch_size"),
        ({"function": abs, "arrays": "jax"}, "jax"),
        ({"function": abs, "gradients": True}, "set arrays to 'torch'"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("function", {"stimulus_shape": (2, 3), **parameters})


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(InvalidSpec, match="labels: expected 1, one a unit of the answer, got 2"):
        Function(lambda x: x.mean((1, 2)), (2, 3), labels=("a", "b")).describe()


@pytest.mark.parametrize("name", ["a b", "a:1", 'x"y'])
def test_layers_with_any_name_can_be_addressed(name: str) -> None:
    oracle = Function(lambda x: {name: x.reshape(len(x), -1)}, (2,))
    stimuli = torch.rand(3, 2)
    unit = Unit.parse(str(Unit(name, 1)))
    assert torch.equal(oracle.observe(stimuli, [unit])[:, 0], stimuli[:, 1])


NUMBERS: dict[str, tuple[object, list[float]]] = {
    "none": ([1.0, None], [1.0, math.nan]),
    "masked": (np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, math.nan]),
    "objects": (np.array([1, 2.5], dtype=object), [1.0, 2.5]),
    "decimals": ([Decimal("0.5"), Fraction(1, 4)], [0.5, 0.25]),
    "long doubles": (np.array([1, 2], np.longdouble), [1.0, 2.0]),
    "huge integers": ([10**25, -(10**25)], [1e25, -1e25]),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_as_people_return_them(kind: str) -> None:
    given, expected = NUMBERS[kind]
    oracle = Function(lambda x: given if len(x) == 2 else [0.0], (3,))
    answer = oracle.observe(torch.zeros(2, 3), [Unit("scores", 0)])[:, 0].double()
    exact = torch.tensor(expected, dtype=torch.float64)
    assert torch.equal(answer.nan_to_num(-1), exact.nan_to_num(-1))
