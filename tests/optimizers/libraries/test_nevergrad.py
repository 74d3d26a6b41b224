"""nevergrad behind the contract: by name, in batches, repeatable, and refused with a reason."""

import sys
import warnings
from typing import Any

import nevergrad
import numpy as np
import pytest
import torch
from nevergrad.optimization import optimizerlib

from blackbox_am import plugins
from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.optimizers.libraries.nevergrad import WORST, Nevergrad
from blackbox_am.optimizers.sampling.random import Random
from blackbox_am.testing.optimizers import OptimizerContract
from blackbox_am.testing.searches import Search
from tests import forked


def normal(dim: int = 12) -> Space:
    return build_space(SpaceSpec("normal", dim))


@pytest.mark.slow
class TestFamily(OptimizerContract):
    @pytest.fixture(params=["DiagonalCMA", "CMA", "OnePlusOne", "PSO", "TBPSA", "Portfolio"])
    def optimizer(self, request: pytest.FixtureRequest) -> Nevergrad:
        return Nevergrad(request.param, population=6)


def test_a_name_with_its_member_is_the_family_with_a_parameter() -> None:
    built = plugins.optimizers.build("nevergrad:TwoPointsDE", {"population": 8.0})
    assert built == Nevergrad("TwoPointsDE", population=8)
    assert plugins.optimizers.get("nevergrad:TwoPointsDE") is Nevergrad
    same = {"optimizer": "TwoPointsDE"}
    assert plugins.optimizers.build("nevergrad:TwoPointsDE", same) == Nevergrad("TwoPointsDE")


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("nevergrad:TwoPointDE", {}, "'TwoPointDE'; did you mean 'TwoPointsDE'"),
        ("nevergrad:Nope", {}, "registers no optimizer called 'Nope'; did you mean "),
        ("nevergrad:", {}, "registers no optimizer called ''"),
        ("nevergrad", {"optimizer": "PS0"}, "did you mean 'PSO'"),
        ("nevergrat:PSO", {}, "no optimizer is called 'nevergrat'; did you mean 'nevergrad'"),
        ("cma:PSO", {}, "cma is one optimizer and has no members; write 'cma'"),
        ("nevergrad:PSO", {"optimizer": "DE"}, "the parameter optimizer says 'DE'"),
        ("nevergrad:PSO", {"population": 1}, "population must be at least 2"),
        ("nevergrad:PSO", {"budget": 0}, "budget must be at least 1"),
        ("nevergrad:PSO", {"sigma": -1.0}, "sigma must be positive"),
        ("nevergrad:PSO", {"workers": 3}, "nevergrad:PSO has no parameter 'workers'"),
    ],
)
def test_mistakes_are_explained(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.optimizers.build(name, parameters)


def test_lists_do_not_import_it() -> None:
    """It takes seconds."""
    program = (
        "import sys; from blackbox_am import plugins; from blackbox_am.catalogue import listing;"
        "found = [listing.optimizer(name) for name in plugins.optimizers.names()];"
        "assert not any(o.problem for o in found), found;"
        "print([m for m in ('nevergrad', 'cma', 'pandas') if m in sys.modules])"
    )
    assert forked.run([sys.executable, "-c", program], timeout=60).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("parameters", "dim", "message"),
    [
        ({"optimizer": "Powell"}, 12, "Powell runs a sequential routine in a thread"),
        ({"optimizer": "ChainCMAPowell"}, 12, "ChainCMAPowell proposes one candidate at a time"),
        ({"optimizer": "MetaModel"}, 12, "MetaModel fits models to past points"),
        ({"optimizer": "NGOpt", "budget": 600}, 7, r"NGOpt fits models .*\(MetaModel"),
        (
            {"optimizer": "NGOpt", "budget": 600},
            320,
            "CMA with a population of 21 here, and fails from 300 dimensions on",
        ),
        ({"optimizer": "BOSplit"}, 12, "hands over to BO here"),
        ({"optimizer": "FCMA"}, 12, "package fcmaes"),
        ({"optimizer": "DiagonalCMA"}, 1, "package fcmaes"),
        ({"optimizer": "Portfolio", "budget": 3000}, 513, "portfolio.*513 dimensions"),
        ({"optimizer": "Portfolio", "population": 257}, 8, "portfolio.*population 257"),
        (
            {"optimizer": "Portfolio", "population": 40, "budget": 400},
            8,
            "nothing but quasi-random search; a budget of 480 or more",
        ),
    ],
)
def test_what_cannot_serve_is_refused_with_the_reason_and_others(
    parameters: dict[str, Any], dim: int, message: str
) -> None:
    with pytest.raises(Unsupported, match=message) as found:
        Nevergrad(**parameters).resolve(normal(dim), SearchContext(queries_per_target=1000))
    assert "nevergrad:DiagonalCMA" in found.value.message
    assert found.value.field == "optimizer.name"


@pytest.mark.parametrize("name", ["CMA", "DiagonalCMA", "EDCMA", "ECMA", "CMAstd"])
@pytest.mark.parametrize("population", [5, 24])
def test_cma_has_the_population_of_the_study(name: str, population: int) -> None:
    """Else a batch of the study is not a generation of CMA, which fails from 300 dimensions."""
    search = Search(Nevergrad(name, population=population), normal(320), targets=(0,))
    search.run(8)
    [session] = search.state.sessions
    assert session._optimizer.es.popsize == population
    assert session._optimizer.es.countiter == 8


BOX = SpaceSpec("box", 6, low=(-2.0,), high=(10.0,))
PRODUCT = SpaceSpec(
    "product",
    6,
    parts=(SpaceSpec("normal", 4), SpaceSpec("box", 2, low=(-1.0,), high=(2.0,))),
)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("DiagonalCMA", BOX),
        ("TwoPointsDE", PRODUCT),
        pytest.param("DiagonalCMA", PRODUCT, marks=pytest.mark.slow),
        pytest.param("TwoPointsDE", BOX, marks=pytest.mark.slow),
    ],
)
def test_climbs(name: str, spec: SpaceSpec, hills: Any) -> None:
    """Higher than random sampling does with as many rows."""
    hill, best = hills["sphere"], []
    for optimizer in (Nevergrad(name), Random(population=20)):
        search = Search(optimizer, build_space(spec), targets=(0,), score=lambda x, _: hill(x))
        best.append(hill(torch.cat(search.run(50), dim=1)).amax(-1).mean().item())
    assert best[0] > 0.5 * best[1]


def test_codes_are_searched_as_integers_of_their_range() -> None:
    space = build_space(SpaceSpec("categorical", 10, categories=7))
    wanted = torch.arange(10) % 7
    search = Search(
        Nevergrad("DiscreteOnePlusOne", population=5),
        space,
        targets=(0,),
        score=lambda x, _: (x == wanted).double().sum(-1),
    )
    told = torch.stack(search.run(120))
    assert told.dtype == torch.int64
    assert told.unique().tolist() == list(range(7)), "every code, and no other"
    scores = (told == wanted).double().sum(-1)
    assert scores[-10:].max() >= 8 > scores[:2].max()


def test_many_codes_cost_no_objects() -> None:
    space = build_space(SpaceSpec("categorical", 256, categories=16_384))
    search = Search(Nevergrad("DE"), space, targets=(0,))
    search.run(2)
    assert search.told[-1].amax() > 12_000


def test_products_of_codes_stay_codes() -> None:
    parts = (SpaceSpec("categorical", 3, categories=4), SpaceSpec("categorical", 2, categories=9))
    space = build_space(SpaceSpec("product", 5, parts=parts))
    latents = Search(Nevergrad("RandomSearch", budget=100), space).ask()
    assert latents.dtype == torch.int64
    assert latents[..., :3].max() <= 3
    assert latents[..., 3:].max() > 3


def test_the_centre_of_a_sphere_is_never_proposed() -> None:
    """It has no projection, and would score as a stimulus that is not in the space."""
    space = build_space(SpaceSpec("sphere", 6))
    for name in ("OnePlusOne", "PSO"):
        search = Search(Nevergrad(name), space, score=lambda x, _: -x.square().sum(-1))
        for latents in search.run(15):
            torch.testing.assert_close(latents.norm(dim=-1), torch.full((3, 20), 6**0.5))


def test_archives_that_do_not_fit_are_refused() -> None:
    space = normal(4096)
    Nevergrad("DE").check(space)
    with pytest.raises(Unsupported, match=r"1400 candidates of each of 100 targets.*snes"):
        Nevergrad("DE").init(space, 100, Stream(0, "init", 0, range(100)))
    Nevergrad("DE", budget=40).init(space, 3, Stream(0, "init", 0, range(3)))
    with pytest.raises(Unsupported, match="up to 5242880 bytes"):
        Nevergrad("DE", budget=40, max_bytes=2**20).check(space)


def _heard(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every loss that nevergrad is told from now on."""
    heard: list[float] = []
    tell = nevergrad.optimizers.base.Optimizer.tell

    def listening(self: Any, candidate: Any, loss: float, *rest: Any) -> None:
        heard.append(loss)
        tell(self, candidate, loss, *rest)

    monkeypatch.setattr(nevergrad.optimizers.base.Optimizer, "tell", listening)
    return heard


def test_failed_rows_are_told_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(Nevergrad("DE", population=4), normal(), targets=(0,))
    heard = _heard(monkeypatch)
    nan, inf = torch.nan, torch.inf
    for row in ([nan] * 4, [3.0, nan, 5.0, nan], [nan] * 4, [inf, -inf, 9.0, nan]):
        search.tell(search.ask(), torch.tensor([row]))
    assert heard[:4] == [WORST] * 4
    assert heard[4:8] == [-3.0, -3.0, -5.0, -3.0]
    assert heard[8:12] == [-3.0] * 4
    assert heard[12:] == [-WORST, WORST, -9.0, WORST]


@pytest.mark.parametrize("being", ["asked", "told"])
def test_a_crash_inside_it_is_an_error_of_ours(being: str, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(Nevergrad("PSO"), normal(), targets=(0,))
    search.run(1)

    def crash(*_: object) -> None:
        raise ZeroDivisionError("float division by zero")

    where = {"asked": "_internal_ask_candidate", "told": "_internal_tell_candidate"}[being]
    monkeypatch.setattr(optimizerlib._PSO, where, crash)
    message = f"PSO failed when it was {being}, in 12 dimensions.*ZeroDivisionError: float.*snes"
    with pytest.raises(Unsupported, match=message):
        search.run(1)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e39])
def test_numbers_that_are_not_finite_are_refused(
    number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "blackbox_am.optimizers.libraries.nevergrad._flat", lambda _: np.full(12, number)
    )
    with pytest.raises(Unsupported, match="not finite"):
        Search(Nevergrad(), normal()).ask()


def test_global_numbers_inside_follow_the_position() -> None:
    """Some of its mutations draw from numpy's global generator."""
    runs = []
    for noise in (0, 1):
        np.random.seed(noise)  # noqa: NPY002
        search = Search(Nevergrad("HugeLognormalDiscreteOnePlusOne"), normal(), targets=(0,))
        runs.append(torch.stack(search.run(6)))
    assert torch.equal(*runs)


def test_its_warnings_stay_inside() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = Search(Nevergrad("OnePlusOne"), normal(), targets=(0,))
        search.tell(search.ask(), torch.full((1, 20), -torch.inf))
    assert not [w for w in caught if "nevergrad" in str(w.filename)]


def _run(name: str, population: int, budget: int) -> torch.Tensor:
    search = Search(Nevergrad(name, population=population, budget=budget), normal(), targets=(0,))
    for generation in range(budget // population):
        latents = search.ask()
        scores = search.scores(latents)
        scores[:, : generation % 3] = torch.nan
        search.tell(latents, scores)
        search.told.append(latents)
    return torch.stack(search.told)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # half-made ones
def test_every_name_works_and_repeats_or_is_refused_with_a_sentence() -> None:
    """All of its registry, n = 12, budget 60."""
    works, refused, bad = [], [], []
    for name in nevergrad.optimizers.registry:
        try:
            first = _run(name, 12, 60)
        except Unsupported as error:
            refused.append(name)
            if not ("nevergrad:DiagonalCMA" in error.message and f" {name} " in error.message):
                bad.append(f"{name}: {error.message}")
            continue
        works.append(name)
        if not (first.isfinite().all() and torch.equal(first, _run(name, 12, 60))):
            bad.append(name)
    assert not bad
    assert len(works) > 330
    assert {"PSO", "DE", "TBPSA", "CMA", "OnePlusOne", "NoisyDE", "RandomSearch"} <= set(works)
    assert {"Powell", "MetaModel", "BO", "SQP"} <= set(refused)
