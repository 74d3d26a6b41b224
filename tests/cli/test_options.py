from __future__ import annotations

import pytest

from blackbox_am.cli.options import parameters_of
from blackbox_am.errors import InvalidInput


def test_values_are_json_or_else_text():
    assert parameters_of(
        ["population=40", "sigma=0.5", "active=false", "start=prior", "x=a=b"]
    ) == {
        "population": 40,
        "sigma": 0.5,
        "active": False,
        "start": "prior",
        "x": "a=b",
    }


def test_nothing_is_nothing():
    assert parameters_of(None) == {}


@pytest.mark.parametrize("text", ["population", "=3"])
def test_refuses_what_is_no_setting(text):
    with pytest.raises(InvalidInput, match="expected NAME=VALUE"):
        parameters_of([text])
