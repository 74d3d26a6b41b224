"""The contract of oracles, over every registered wrapper around two models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.testing.oracles import OracleContract
from tests.closes import Closes

PARAMETERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "cache": lambda folder: {"path": str(folder / "answers.sqlite3"), "model": "mine"},
    "circuit_breaker": lambda folder: {},
    "concurrency": lambda folder: {"calls": 2},
    "halving": lambda folder: {},
    "noise": lambda folder: {"multiplicative": 0.1, "additive": 0.01},
    "quantise": lambda folder: {},
    "quota": lambda folder: {"rows": 1000, "path": str(folder / "used.sqlite3")},
    "rate_limit": lambda folder: {"rows_per_second": 1e6, "rows_per_day": 10**6},
    "repeat": lambda folder: {"presentations": 3},
    "retry": lambda folder: {"first_seconds": 0.01},
    "timeout": lambda folder: {"seconds": 20},
    "verify": lambda folder: {},
    "transform": lambda folder: {"channels": "bgr", "resize": [8, 8]},
    "transformed": lambda folder: {
        "transforms": [{"name": "rotate", "parameters": {"degrees": 20}}, {"name": "jitter"}],
        "copies": 3,
    },
}
LOWERED = {"cache", "quantise"}
"""Wrappers through which no gradient passes."""


def net() -> Oracle:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 5))
    return TorchModule(nn.Sequential(*layers), (3, 8, 8), device="cpu")


@pytest.fixture(params=plugins.wrappers.names())
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in PARAMETERS:
        pytest.fail(f"wrapper {request.param!r} has no example: add one to PARAMETERS here")
    return request.param


class TestAroundANetwork(OracleContract):
    @pytest.fixture
    def oracle(self, name: str, tmp_path: Path, closes: Closes) -> Oracle:
        made: Oracle = closes(plugins.wrap(net(), name, PARAMETERS[name](tmp_path)))
        return made

    def test_capability_is_passed_on_or_lowered(self, name: str, oracle: Oracle) -> None:
        expected = FORWARD if name in LOWERED else FORWARD | Capability.GRADIENTS
        assert oracle.describe().capabilities == expected


class TestAroundASimulation(OracleContract):
    @pytest.fixture
    def oracle(self, name: str, tmp_path: Path, closes: Closes) -> Oracle:
        made: Oracle = closes(plugins.wrap(Simulated(), name, PARAMETERS[name](tmp_path)))
        return made

    def test_the_kind_is_that_of_the_model_within(self, oracle: Oracle, name: str) -> None:
        info = Retry(oracle).describe()
        assert (info.kind, info.wrappers) == ("simulated", ("retry", name))

    def test_capability_is_never_raised(self, oracle: Oracle) -> None:
        assert oracle.describe().capabilities == Capability.SCORES | Capability.UNITS

    def test_it_is_closed_with_what_it_holds(
        self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = []
        monkeypatch.setattr(Simulated, "close", lambda self: closed.append(self))
        oracle.close()
        assert len(closed) == 1

    def test_what_is_no_oracle_cannot_be_wrapped(self, name: str, tmp_path: Path) -> None:
        wrapper: type[Wrapper] = plugins.wrappers.get(name)
        with pytest.raises(InvalidSpec, match="put around an oracle, got Linear"):
            wrapper(nn.Linear(2, 2), **PARAMETERS[name](tmp_path))

    def test_plain_parameters_name_no_oracle(self, name: str) -> None:
        with pytest.raises(InvalidSpec, match="no parameter 'inner'"):
            plugins.wrap(Simulated(), name, {"inner": "other"})


def test_every_wrapper_describes_itself() -> None:
    for name in plugins.wrappers.names():
        wrapper = plugins.wrappers.get(name)
        assert wrapper.kind == name
        assert plugins.wrappers.summary(name).endswith((".", ":"))
        assert next(iter(plugins.wrappers.schema(name)["properties"])) == "inner"


def test_wrappers_are_no_oracles_of_their_own() -> None:
    assert not set(plugins.wrappers.names()) & set(plugins.oracles.names())
    assert "wrappers" not in plugins.oracles.names()
