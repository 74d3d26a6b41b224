"""What a comparison may be: every wrong specification is refused with the field and a cure."""

import pytest

from blackbox_am.comparisons.problem import MethodSpec, spec_of
from blackbox_am.errors import InvalidSpec

GOOD = {"oracle": "toy", "generator": "pixels", "units": ["units:0"]}


def test_defaults_are_the_protocol():
    spec = spec_of(GOOD)
    assert [method.name for method in spec.all_methods] == ["adam", "sep_cma", "auto", "random"]
    assert spec.all_methods[-1].reference
    assert spec.all_seeds == (0, 1, 2, 3, 4)
    assert spec.budget == 1000


def test_a_random_search_is_added_once():
    draws = {"name": "draws", "optimizer": "random"}
    spec = spec_of({**GOOD, "methods": [{"name": "sep_cma"}, draws]})
    assert [method.name for method in spec.all_methods] == ["sep_cma", "draws"]
    without = spec_of({**GOOD, "methods": [{"name": "sep_cma"}], "random_search": False})
    assert without.all_methods == (MethodSpec("sep_cma"),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tuning_units": ["units:1", "units:0!mean"]}, "got units:0 in both"),
        ({"tuning_units": ["units:0@center"]}, "got units:0 in both"),
        ({"methods": [{"name": "a"}, {"name": "a"}]}, "methods: 'a' occurs more than once"),
        ({"methods": [{"name": "random"}, {"name": "random"}]}, "'random' occurs more than once"),
        ({"methods": []}, "expected one method or more"),
        ({"methods": [{"name": "a", "reference": True}]}, "every method is a reference"),
        ({"units": ["units:0", "units:0"]}, "units: 'units:0' occurs more than once"),
        ({"units": ["units:0!nonsense"]}, "units: "),
        ({"layers": ["units"]}, "one of the two"),
        ({"seeds": 0}, "from 1 to 1,000, got 0"),
        ({"seeds": [1, 1]}, "seeds: '1' occurs more than once"),
        ({"seeds": [-1]}, "from 0 to 1,000,000, got [-1]"),
        ({"budget": 0}, "budget: expected a whole number, at least 1"),
        ({"version": 2}, "expected 1, the version of comparisons that this package reads, got 2"),
        ({"version": "1"}, "got '1'"),
        ({"against": "adm"}, "did you mean 'adam'"),
        ({"against": "random"}, "expected the name of a compared method"),
        ({"budgets": 5}, "there is no field 'budgets'; did you mean 'budget'"),
        ({"methods": [{"nam": "a"}]}, "methods[0]"),
    ],
)
def test_wrong_specifications(change, said):
    with pytest.raises(InvalidSpec) as refused:
        spec_of({**GOOD, **change})
    assert said in refused.value.message


def test_missing_fields():
    with pytest.raises(InvalidSpec, match="oracle is missing"):
        spec_of({"generator": "pixels"})
