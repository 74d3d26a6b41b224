from __future__ import annotations

import pytest

from blackbox_am.cli.options import parameters_of
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
