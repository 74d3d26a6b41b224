"""Optimizers are built from plain data, with every mistake explained."""

from typing import Any

import pytest

from blackbox_am import plugins
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.adam import Adam
from blackbox_am.optimizers.cma import CMA
from blackbox_am.optimizers.sep_cma import SepCMA


def test_names() -> None:
    assert {"adam", "cma", "random", "sep_cma"} <= set(plugins.optimizers.names())


def test_builds_from_plain_data() -> None:
    built = plugins.optimizers.build("cma", {"population": 24, "sigma": 0.3, "active": False})
    assert built == CMA(population=24, sigma=0.3, active=False)


def test_whole_numbers_may_come_as_floats_and_back() -> None:
    built = plugins.optimizers.build("sep_cma", {"population": 24.0, "sigma": 2})
    assert built == SepCMA(population=24, sigma=2.0)
    assert isinstance(built.population, int)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cma", {"populatoin": 20}, "did you mean 'population'"),
        ("cma", {"population": 20.5}, "population"),
        ("cma", {"population": "20"}, "population"),
        ("cma", {"population": 1}, "at least 2.*got 1"),
        ("cma", {"sigma": 0}, "sigma must be positive"),
        ("sep_cma", {"sigma": float("nan")}, "sigma must be positive and finite, got nan"),
        ("sep_cma", {"mean_learning_rate": -1.0}, "mean_learning_rate must be positive"),
        ("cma", {"start": "origin"}, "start"),
        ("cma", {"active": 1.0}, "active"),
        ("cma", {"max_bytes": 0}, "max_bytes must be positive"),
        ("random", {"population": 0}, "at least 1, got 0"),
        ("adam", {"population": 0}, "at least 1, got 0"),
        ("adam", {"learning_rate": 0.0}, "learning_rate must be positive"),
        ("adam", {"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1.0"),
        ("adam", {"decay": -0.1}, "decay"),
    ],
)
def test_explains_bad_parameters(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.optimizers.build(name, parameters)


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(InvalidSpec, match="did you mean 'sep_cma'"):
        plugins.optimizers.build("sepcma", {})


@pytest.mark.parametrize(
    ("dim", "population"), [(2, 16), (64, 16), (256, 20), (512, 22), (4096, 28), (10**6, 40)]
)
def test_default_population_grows_slowly(dim: int, population: int) -> None:
    assert SepCMA().population_size(build_space(SpaceSpec("normal", dim))) == population


def test_population_above_the_limit_is_refused_by_check() -> None:
    with pytest.raises(InvalidSpec, match="100000, got 200000"):
        Adam(population=200_000).check(build_space(SpaceSpec("normal", 4)))
