"""Units of layers: which layers, which units, and in what order."""

import pytest

from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.walking import chosen_units
from blackbox_am.errors import InvalidSpec, UnknownUnit


def info() -> OracleInfo:
    layers = (
        LayerInfo("stem", "conv", (8, 4, 4), ("unit", "height", "width")),
        LayerInfo("blocks.0.fc1", "linear", (17, 100), ("token", "unit")),
        LayerInfo("blocks.1.fc1", "linear", (17, 100), ("token", "unit")),
        LayerInfo("a b:c", "other", (2,), ("unit",)),
        LayerInfo("head", "linear", (10,), ("unit",)),
    )
    return OracleInfo("toy", frozenset(), (3, 8, 8), layers, True, 4)


def test_units_are_the_middles_of_equal_parts() -> None:
    assert chosen_units(info(), "head", 2) == ["head:2", "head:7"]
    assert chosen_units(info(), "head", 1) == ["head:5"]
    assert chosen_units(info(), "blocks.0.fc1", 4) == [
        f"blocks.0.fc1:{i}" for i in (12, 37, 62, 87)
    ]


def test_all_layers_come_in_the_order_of_the_computation() -> None:
    found = chosen_units(info(), units_per_layer=3)
    assert found[0] == "stem:1"
    assert found[-1] == "head:8"
    assert '"a b:c":0' in found
    assert len(found) == 4 * 3 + 2  # of a layer of two units, both


@pytest.mark.parametrize("layers", ["head, blocks.*.fc1", ["blocks.?.fc1", "head"], "blocks*,head"])
def test_names_and_patterns(layers: str | list[str]) -> None:
    found = chosen_units(info(), layers, 1)
    assert found == ["blocks.0.fc1:50", "blocks.1.fc1:50", "head:5"]


def test_a_seed_chooses_units_of_a_layer_whatever_the_other_layers_are() -> None:
    one = chosen_units(info(), "head", 4, seed=1)
    assert one == chosen_units(info(), "all", 4, seed=1)[-4:]
    assert one != chosen_units(info(), "head", 4, seed=2)
    assert len(set(one)) == 4


def test_what_is_refused() -> None:
    with pytest.raises(UnknownUnit, match="no layer is called 'heat'; did you mean 'head'"):
        chosen_units(info(), "heat")
    with pytest.raises(UnknownUnit, match=r"no layer is called 'block\?'"):
        chosen_units(info(), "block?")
    with pytest.raises(InvalidSpec, match="expected 1 or more, got 0"):
        chosen_units(info(), "head", 0)
