"""The contract of transformations, over every registered one."""

from typing import Any

import pytest

from blackbox_am.core.transform import Transform
from blackbox_am.errors import InvalidSpec
from blackbox_am.plugins import transforms
from blackbox_am.testing.transforms import TransformContract

SCHEDULED: dict[str, dict[str, Any]] = {
    "crop": {"size": 0.8, "last": 0.4, "over": 4},
    "noise": {"deviation": 0.1, "width": 0.05, "each": "channel", "over": 4},
}
REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "blur": [({"low": 2.0, "high": 1.0}, "high"), ({"low": -1.0}, "low")],
    "colour": [({"offset": -1.0}, "offset"), ({"scale": 11.0}, "scale")],
    "crop": [
        ({"size": 0.01}, "size"),
        ({"size": 1.5}, "size"),
        ({"last": 0.5}, "over"),
        ({"over": 3}, "over"),
        ({"over": -1}, "over"),
        ({"middle_deviation": 2.0}, "middle_deviation"),
    ],
    "flip": [({"horizontal": 1.5}, "horizontal"), ({"vertical": -0.1}, "vertical")],
    "jitter": [({"amount": 1.0}, "amount"), ({"fill": 2.0}, "fill")],
    "noise": [({"deviation": -1.0}, "deviation"), ({"width": -1.0}, "width")],
    "pad": [({"amount": 1.0}, "amount"), ({"fill": -0.5}, "fill")],
    "roll": [({"amount": 0.6}, "amount")],
    "rotate": [({"degrees": 181.0}, "degrees")],
    "scale": [({"amount": -0.1}, "amount")],
}


@pytest.mark.parametrize("kind", transforms.names())
class TestTransforms(TransformContract):
    @pytest.fixture
    def transform(self, kind: str) -> Transform:
        return transforms.build(kind, {})


@pytest.mark.parametrize("kind", SCHEDULED)
class TestScheduledTransforms(TransformContract):
    @pytest.fixture
    def transform(self, kind: str) -> Transform:
        found = transforms.build(kind, SCHEDULED[kind])
        assert found.has_schedule
        return found


@pytest.mark.parametrize("kind", transforms.names())
def test_numbers_out_of_range_are_refused(kind: str) -> None:
    assert kind in REFUSED, f"add wrong parameters of {kind!r} to REFUSED"
    for parameters, field in REFUSED[kind]:
        with pytest.raises(InvalidSpec, match=f"{field}: expected"):
            transforms.build(kind, parameters)
