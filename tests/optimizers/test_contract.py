"""Every registered optimizer keeps the contract."""

from typing import Any

import pytest

from blackbox_am import plugins
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.testing.masked_search import MaskedSearch
from blackbox_am.testing.optimizers import OptimizerContract

PARAMETERS: dict[str, dict[str, Any]] = {
    "nevergrad": {"optimizer": "DE", "population": 4},
    "encoding_model": {"population": 8, "archive": 24, "screening": 2},
    "pixel_ridge": {"population": 8, "side": 8},
    "pycma": {"population": 6},
    "tensor_train": {"population": 8, "gradient_steps": 2},
}
"""Of optimizers that take long: nevergrad takes up to a millisecond a candidate, and
`encoding_model` reads a network."""


SLOW = ("nevergrad", "encoding_model", "pixel_ridge")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in plugins.optimizers.names()
]


class TestMasked(OptimizerContract):
    """A search that masks rows keeps the contract as well."""

    @pytest.fixture
    def optimizer(self) -> Optimizer[Any]:
        return MaskedSearch()


class TestRegistered(OptimizerContract):
    @pytest.fixture(params=NAMES)
    def optimizer(self, request: pytest.FixtureRequest) -> Optimizer[Any]:
        return plugins.optimizers.build(request.param, PARAMETERS.get(request.param, {}))

    def test_is_named_after_its_file(self, optimizer: Optimizer[Any]) -> None:
        assert type(optimizer).__module__.rpartition(".")[2] == optimizer.name

    def test_registry_describes_it(self, optimizer: Optimizer[Any]) -> None:
        assert plugins.optimizers.summary(optimizer.name)
        assert plugins.optimizers.schema(optimizer.name)["type"] == "object"
