"""The rule that chooses, and what it is told."""

from dataclasses import replace

import pytest

from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.choosing.auto import Auto
from blackbox_am.optimizers.evolution.sphere_cma import SphereCMA
from blackbox_am.optimizers.surrogate.pixel_ridge import PixelRidge
from blackbox_am.testing.searches import SPACES

MIXED = SpaceSpec(
    "product",
    3,
    parts=(
        SpaceSpec("box", 2, low=(0.0,), high=(1.0,)),
        SpaceSpec("categorical", 1, categories=4),
    ),
)
NORMAL = build_space(SpaceSpec("normal", 128))
LARGE = build_space(SpaceSpec("normal", 512))


def test_noise_is_what_the_oracle_says_unless_the_user_knows_better():
    quiet, loud = SearchContext(1000), SearchContext(1000, noisy=True)
    assert Auto().resolve(NORMAL, quiet) == Auto(noise="none").resolve(NORMAL, loud)
    assert Auto().resolve(NORMAL, loud) == Auto(noise="some").resolve(NORMAL, quiet)
    assert Auto().resolve(NORMAL, loud) != Auto().resolve(NORMAL, quiet)


def test_a_population_that_is_given_is_kept():
    for spec in (SpaceSpec("normal", 128), SpaceSpec("categorical", 9, categories=4)):
        space = build_space(spec)
        for noisy in (False, True):
            chosen = Auto(population=7).resolve(space, SearchContext(1000, noisy=noisy))
            assert chosen.population_size(space) == 7


def test_auto_itself_searches_nothing():
    with pytest.raises(Unsupported, match="resolve"):
        Auto().init(NORMAL, 1, Stream(0, "init", 0))


def test_the_schedule_of_the_sphere_lasts_as_long_as_the_budget():
    fitted = SphereCMA(population=40).resolve(NORMAL, SearchContext(1000))
    assert fitted.horizon == 25
    assert SphereCMA(horizon=7).resolve(NORMAL, SearchContext(1000)).horizon == 7


@pytest.mark.parametrize(
    ("spec", "queries", "noisy", "name"),
    [
        (SpaceSpec("normal", 128), 10_000, False, "snes"),
        (SpaceSpec("normal", 4096), 1000, False, "snes"),
        (SpaceSpec("normal", 16), 1600, False, "restarts"),
        (SpaceSpec("normal", 16), 1599, False, "snes"),
        (SpaceSpec("normal", 16), 1600, True, "snes"),
        (SpaceSpec("sphere", 128), 1000, False, "sphere_cma"),
        (SpaceSpec("sphere", 128), 1000, True, "snes"),
        (SpaceSpec("categorical", 64, categories=512), 1000, False, "umda"),
        (SpaceSpec("categorical", 64, categories=512), 2000, False, "pbil"),
        (SpaceSpec("categorical", 64, categories=512), 1000, True, "pbil"),
        (MIXED, 1000, False, "ga"),
        (MIXED, 4000, True, "ga"),
    ],
)
def test_the_rule(spec, queries, noisy, name):
    space = build_space(spec)
    chosen = Auto().resolve(space, SearchContext(queries, noisy=noisy))
    assert chosen.name == name
    chosen.check(space)


GUIDED = SearchContext(2000, 64, exact=True, started=True, climbable=True)


def test_a_start_and_gradients_through_the_generator_are_used():
    assert Auto().resolve(LARGE, GUIDED) == PixelRidge(elitist=True)
    assert Auto().resolve(NORMAL, GUIDED).name == "snes"


@pytest.mark.parametrize(
    "changes",
    [
        {"started": False},
        {"climbable": False},
        {"exact": False},
        {"queries_per_target": 2001},
        {"targets": 65},
        {"noisy": True, "exact": False},
    ],
)
def test_without_one_of_them_they_are_not(changes):
    assert Auto().resolve(LARGE, replace(GUIDED, **changes)).name == "snes"
    assert Auto(population=20).resolve(LARGE, GUIDED).name == "snes"


def test_noise_takes_larger_generations_and_large_ones_move_further():
    quiet = Auto().resolve(NORMAL, SearchContext(3000))
    loud = Auto().resolve(NORMAL, SearchContext(3000, noisy=True))
    assert loud.population_size(NORMAL) > quiet.population_size(NORMAL)
    assert loud.mean_learning_rate == 1.0
    assert Auto(population=250).resolve(NORMAL, SearchContext(3000)).mean_learning_rate == 6.25


@pytest.mark.parametrize("spec", SPACES, ids=lambda spec: f"{spec.kind} {spec.dimension}")
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("population", [None, 3, 50])
def test_auto_refuses_no_space_and_neither_does_its_choice(spec, noisy, population):
    """A message never names an optimizer that the user did not choose."""
    space = build_space(spec)
    auto = Auto(population=population)
    auto.check(space)
    for queries in (1, 40, 5000):
        chosen = auto.resolve(space, SearchContext(queries, noisy=noisy))
        chosen.check(space)


@pytest.mark.parametrize(
    "spec",
    [spec for spec in SPACES if spec.kind != "categorical" and build_space(spec).dtype is None],
    ids=lambda spec: f"{spec.kind} {spec.dimension}",
)
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("queries", [40, 5000])
def test_what_auto_chooses_begins_at_given_latents(spec, noisy, queries):
    space = build_space(spec)
    chosen = Auto().resolve(space, SearchContext(queries, noisy=noisy))
    stream = Stream(0, "init", 0, (0, 1))
    start = space.sample(Stream(0, "start", 0, (0, 1)), 1)[:, 0]
    fresh = chosen.init(space, 2, stream)
    moved = chosen.started_at(space, chosen.init(space, 2, stream), start)
    ask = Stream(0, "ask", 0, (0, 1))
    before = space.project(chosen.ask(space, fresh, ask)) - start.unsqueeze(1)
    after = space.project(chosen.ask(space, moved, Stream(0, "ask", 0, (0, 1))))
    after = after - start.unsqueeze(1)
    assert (after.norm(dim=-1).mean() < before.norm(dim=-1).mean()).all()
