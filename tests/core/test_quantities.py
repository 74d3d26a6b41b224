from __future__ import annotations

import pytest

from blackbox_am.core.layout import Layout, layouts_of
from blackbox_am.core.quantities import MeasureName, parse_quantity
from blackbox_am.core.units import Unit
from blackbox_am.criteria.threshold import Threshold
from blackbox_am.objectives.mean import Mean


@pytest.mark.parametrize("text", ["stimulus.tv", "stimulus.linf_distance", "latent.norm"])
def test_names_of_measures(text: str) -> None:
    assert parse_quantity(text) == MeasureName(text)
    assert str(parse_quantity(text)) == text


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("fc:3", "fc"),
        ("stimulus.tv:0", "stimulus.tv"),
        ("latent.fc.1:2", "latent.fc.1"),
        ('"stimulus.tv"', "stimulus.tv"),
        ("stimulus", "stimulus"),
    ],
)
def test_layers_that_are_called_so_are_units(text: str, layer: str) -> None:
    quantity = parse_quantity(text)
    assert isinstance(quantity, Unit)
    assert quantity.layer == layer
    assert parse_quantity(str(quantity)) == quantity
    assert parse_quantity(Mean((text,)).quantities[0]) == quantity


def test_a_layout_has_each_quantity_once_units_first() -> None:
    objective = Mean(("stimulus.tv",)) * Mean(("fc:1", "fc:0")) - Mean(("fc:1",))
    criterion = Threshold(("fc:2", "fc:0"), at_least=0.0)
    (layout,) = layouts_of([objective], [criterion])
    assert [str(one) for one in layout.quantities] == ["fc:1", "fc:0", "fc:2", "stimulus.tv"]
    assert layout.columns(objective.reads()) == (3, 0, 1, 0)
    assert layout.columns(criterion.reads()) == (2, 1)


def test_one_criterion_serves_all_targets() -> None:
    objectives = [Mean(("a:0",)), Mean(("b:0",))]
    layouts = layouts_of(objectives, [Threshold(("c:0",), at_least=0.0)])
    assert [len(layout.units) for layout in layouts] == [2, 2]
    assert layouts_of(objectives, []) == (Layout((Unit("a", 0),)), Layout((Unit("b", 0),)))
