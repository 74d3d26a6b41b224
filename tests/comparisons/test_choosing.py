"""Units from layers: the same ones in every run, as many as asked for."""

import pytest

from blackbox_am.comparisons.choosing import units_of
from blackbox_am.comparisons.problem import spec_of
from blackbox_am.comparisons.targets import layer_of
from blackbox_am.core.capability import Capability
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.errors import InvalidSpec, UnknownUnit

SIZES = {"stem": 3, "a": 8, "b": 16, "c": 16, "d": 32, "head": 10}
INFO = OracleInfo(
    "toy",
    Capability.UNITS,
    (3, 8, 8),
    tuple(LayerInfo(name, "linear", (size,), ("unit",)) for name, size in SIZES.items()),
)


def units(**fields):
    return units_of(spec_of({"oracle": "toy", "generator": "pixels", **fields}), INFO)


def test_units_of_a_layer_are_spread_evenly():
    assert units(layers=["head"], units_per_layer=5) == tuple(f"head:{i}" for i in (1, 3, 5, 7, 9))
    assert units(layers=["head"], units_per_layer=10) == tuple(f"head:{i}" for i in range(10))
    assert units(layers=["a!max"], units_per_layer=1) == ("a:4!max",)


def test_without_layers_four_are_taken_with_the_last():
    found = units(units_per_layer=4)
    assert list(dict.fromkeys(map(layer_of, found))) == ["a", "b", "c", "head"]
    assert len(found) == 16


def test_named_units_are_kept():
    assert units(units=["head:3", "a:1@center"]) == ("head:3", "a:1@center")


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"layers": ["haed"]}, UnknownUnit, "did you mean 'head'"),
        ({"layers": ["head:3"]}, InvalidSpec, "name single units as `units`"),
        ({"layers": ["stem"]}, InvalidSpec, "at most 3, the units of layer stem, got 5"),
        ({"units": ["head:3", "head:3!mean"]}, InvalidSpec, "units: 'head:3' occurs more than"),
        ({"units_per_layer": 100}, InvalidSpec, "the largest has 32"),
        (
            {"layers": ["head"], "units_per_layer": 10, "tuning_units": ["head:2", "head:7"]},
            InvalidSpec,
            "got head:2, head:7 in both; take them out",
        ),
    ],
)
def test_layers_that_cannot_be_searched(fields, error, said):
    with pytest.raises(error) as refused:
        units(**fields)
    assert said in refused.value.message
