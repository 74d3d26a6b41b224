from __future__ import annotations

import pytest

from blackbox_am.cli.options import parameters_of, transforms_of
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.errors import InvalidInput


def test_values_are_read_as_json_or_as_text():
    assert parameters_of(
        ["population=40", "sigma=0.5", "active=false", "start=prior", "x=a=b"]
    ) == {
        "population": 40,
        "sigma": 0.5,
        "active": False,
        "start": "prior",
        "x": "a=b",
    }


def test_no_settings_give_no_parameters():
    assert parameters_of(None) == {}


@pytest.mark.parametrize("text", ["population", "=3"])
def test_a_setting_without_a_value_is_refused(text):
    with pytest.raises(InvalidInput, match="expected NAME=VALUE"):
        parameters_of([text])


def test_transformations_are_read_with_their_parameters():
    given = ["jitter,amount=.1,fill=0", "pad,mode=reflect", "flip"]
    assert transforms_of(given, 3, "generation") == TransformsSpec(
        (
            TransformSpec("jitter", {"amount": 0.1, "fill": 0}),
            TransformSpec("pad", {"mode": "reflect"}),
            TransformSpec("flip"),
        ),
        3,
        "generation",
    )
    assert transforms_of(["flip"], None, "fixed") == TransformsSpec((TransformSpec("flip"),))
    assert transforms_of(None, None, "fixed") is None


@pytest.mark.parametrize(
    ("given", "copies", "redraw", "message"),
    [
        (["jitter,amount"], None, "fixed", "expected NAME,PARAMETER=VALUE"),
        (None, 8, "fixed", "add --transform"),
        (None, None, "generation", "add --transform"),
        (["jitter"], None, "sometimes", "redraw"),
        (["jitter"], 5000, "fixed", "copies"),
        ([""], None, "fixed", "name"),
    ],
)
def test_transformations_that_are_not_complete_are_refused(given, copies, redraw, message):
    with pytest.raises(InvalidInput, match=message):
        transforms_of(given, copies, redraw)
