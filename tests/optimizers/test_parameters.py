"""Optimizers are built from plain data, with every mistake explained."""

from typing import Any

import pytest

from blackbox_am import plugins
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.evolution.cma import CMA
from blackbox_am.optimizers.evolution.sep_cma import SepCMA
from blackbox_am.optimizers.gradient.adam import Adam


def test_names() -> None:
    names = {"adam", "cholesky_cma", "cma", "de", "ga", "open_es", "pso", "random", "sep_cma"}
    names |= {"noise_handling", "pbil", "restarts", "umda"}
    assert names | {"snes", "sobol", "sphere_cma", "xnes"} <= set(plugins.optimizers.names())


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
        ("adam", {"population": 0}, "at least 1, since each is an ascent; got 0"),
        ("adam", {"learning_rate": 0.0}, "learning_rate must be positive"),
        ("adam", {"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1.0"),
        ("adam", {"decay": -0.1}, "decay"),
        ("snes", {"population": 1}, "at least 2, since one row cannot be ranked; got 1"),
        ("snes", {"sigma_learning_rate": 0.0}, "sigma_learning_rate must be positive"),
        ("xnes", {"shape_learning_rate": -1.0}, "shape_learning_rate must be positive"),
        ("xnes", {"max_bytes": 0}, "max_bytes must be positive, got 0"),
        ("open_es", {"population": 7}, "population must be even.*got 7"),
        ("open_es", {"beta2": 1.0}, r"beta2 must be in \[0, 1\), got 1.0"),
        ("open_es", {"decay": 0.0}, "decay must be above 0 and at most 1"),
        ("cholesky_cma", {"update_every": 0}, "update_every must be at least 1.*got 0"),
        ("sphere_cma", {"population": 2}, "population must be at least 3"),
        ("sphere_cma", {"schedule": "cosine"}, "schedule"),
        ("sphere_cma", {"first_angle": 200.0}, "first_angle must be at most 180 degrees"),
        ("sphere_cma", {"horizon": 0}, "horizon must be at least 1"),
        ("ga", {"setting": "xdream"}, "setting"),
        ("ga", {"mutation_rate": 1.5}, r"mutation_rate must be in \[0, 1\], got 1.5"),
        ("ga", {"elites": 20}, "elites must be fewer than the population of 20.*got 20"),
        ("ga", {"setting": "gecco", "population": 10}, "fewer than the population of 10"),
        ("de", {"population": 3}, "at least 4, since a trial is made from three other rows"),
        ("de", {"strategy": "best1bin"}, "strategy"),
        ("pso", {"max_velocity": 0.0}, "max_velocity must be positive"),
        ("cma", {"prior_pull": 1.5}, r"prior_pull must be in \[0, 1\], got 1.5"),
        ("snes", {"prior_pull": -0.1}, r"prior_pull must be in \[0, 1\], got -0.1"),
        ("sobol", {"population": 0}, "population must be at least 1"),
    ],
)
def test_explains_bad_parameters(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.optimizers.build(name, parameters)


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(InvalidSpec, match="did you mean 'sep_cma'"):
        plugins.optimizers.build("sepcma", {})


@pytest.mark.parametrize(
    ("dim", "population"), [(2, 16), (64, 16), (256, 20), (4096, 20), (10**6, 20)]
)
def test_default_population_grows_slowly(dim: int, population: int) -> None:
    assert SepCMA().population_size(build_space(SpaceSpec("normal", dim))) == population


def test_population_above_the_limit_is_refused_by_check() -> None:
    with pytest.raises(InvalidSpec, match="100000, got 200000"):
        Adam(population=200_000).check(build_space(SpaceSpec("normal", 4)))
