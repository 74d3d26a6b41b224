"""Comparisons in this process: every number comes from a study, and a repeated call runs none."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.catalogue import Catalogue, ImagesGiven
from blackbox_am.comparisons import local
from blackbox_am.comparisons.local import compare, compare_as, models_of
from blackbox_am.comparisons.planning import Examined, planned
from blackbox_am.comparisons.problem import spec_of
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import (
    Conflict,
    InvalidInput,
    InvalidSpec,
    ModelChanged,
    NotFound,
    OracleFailed,
    OracleUnavailable,
    OutOfMemory,
    ShapeMismatch,
    UnknownUnit,
)
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated

SHAPE = (3, 6, 6)
IMAGES = np.random.default_rng(2).integers(0, 256, (12, *SHAPE), np.uint8)
SMALL = {"units": ["units:0", "units:4"], "budget": 60, "seeds": 2, "baseline": IMAGES}


def toy(**fields) -> Simulated:
    return Simulated(**{"stimulus_shape": SHAPE, "gradients": True, "batch_size": 16, **fields})


def compared(oracle: Oracle | None = None, **fields) -> ComparisonResult:
    methods = fields.pop("methods", ["adam", "sep_cma"])
    return compare(
        oracle=oracle or toy(),
        generator=Pixels(SHAPE),
        methods=methods,
        **{**SMALL, **fields},
    )


def facts(result: ComparisonResult) -> list[object]:
    """Everything that must not depend on the run: all but the seconds."""
    runs = [
        [
            value.tobytes() if isinstance(value, np.ndarray) else repr(value)
            for value in vars(replace(run, seconds=0.0)).values()
        ]
        for run in result.runs
    ]
    units = [(unit.unit, unit.natural.tobytes(), unit.start) for unit in result.units]
    return [runs, units, result.methods, result.protocol, result.best_known, result.warnings]


@dataclass(frozen=True)
class Failing(Wrapper):
    """Fails after a number of rows."""

    kind: ClassVar[str] = "failing"
    changes_answers: ClassVar[bool] = False
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"after", "served"})
    after: int = 0
    served: list[int] = field(default_factory=list)

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        if self.after and sum(self.served) > self.after:
            raise OracleFailed("the rig is off")
        return self.inner.observe(stimuli, units)


def test_each_run_is_what_its_method_found():
    oracle = toy()
    result = compared(oracle)
    assert result.complete
    assert result.baseline == "adam"
    assert len(result.runs) == 2 * 2 * 2 + 2  # the random search has one seed
    for run in result.runs:
        rows = 30 if run.method == "adam" else 60
        assert run.rows == rows
        assert run.backward_rows == (30 if run.method == "adam" else 0)
        assert run.equivalents[-1] == 60
        assert (np.diff(run.equivalents) > 0).all()
        assert run.best_so_far[-1] == run.score
        shown = torch.from_numpy(run.stimulus)[None]
        assert float(oracle.observe(shown, [Unit.parse(run.unit)])) == pytest.approx(run.score)
        assert run.stimulus.shape == SHAPE
        assert 0 <= run.score <= 1
        assert run.score_error == 0
        assert run.message == ""
    for unit in result.units:
        gradient = max(run.score for run in result.of("adam", unit.unit))
        chance = max(run.score for run in result.of("random", unit.unit))
        assert gradient > chance > 0
        assert unit.natural.shape == (12,)
        assert unit.natural_image.tobytes() == (
            (IMAGES[unit.natural.argmax()].astype(np.float32) / np.float32(255)).tobytes()
        )
        assert result.best_known[unit.unit] == max(
            run.score for method in result.methods for run in result.of(method.name, unit.unit)
        )


def test_all_methods_see_the_same_transforms():
    jitter = TransformSpec("jitter", {"amount": 0.2})
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "random_search": False}
    result = compared(**small, transforms=[jitter], copies=3)
    assert any("3 transformed copies" in part.text for part in result.protocol)
    plain = compared(**small)
    assert [run.score for run in result.runs] != [run.score for run in plain.runs]
    assert result.units[0].natural.tolist() != plain.units[0].natural.tolist()
    assert {run.rows for run in result.runs} == {30}


def test_the_protocol_says_what_is_not_kept():
    other = compared(
        seeds=1,
        budget=30,
        methods=[
            {"name": "one", "optimizer": "adam", "parameters": {"population": 1}, "budget": 20},
            "sep_cma",
        ],
        random_search=False,
        baseline=None,
    )
    left = {"units and layers", "seeds", "equal budgets", "restarts of gradients", "tuning apart"}
    left |= {"random search", "natural images"}
    assert {part.name for part in other.protocol if not part.kept} == left
    assert {part.name for part in other.protocol if part.kept} >= {"one generator", "noise"}
    assert any("2 units of 1 layer; the protocol asks for 20" in one for one in other.warnings)
    assert other.units[0].natural.size == 0


def test_a_method_without_gradients_is_shown_as_unavailable():
    result = compared(toy(gradients=False), seeds=1, budget=40)
    methods = {method.name: method for method in result.methods}
    assert "GRADIENTS" in methods["adam"].unavailable
    assert not methods["sep_cma"].unavailable
    assert {run.method for run in result.runs} == {"sep_cma", "random"}
    assert result.baseline == "sep_cma"
    assert result.complete
    assert any(warning.startswith("adam is unavailable") for warning in result.warnings)
    with pytest.raises(InvalidSpec, match="none of them can run"):
        compared(toy(gradients=False), methods=["adam"])


@dataclass(frozen=True)
class Opaque(Pixels):
    """Pixels, as a renderer would make them that has no gradients."""

    kind: ClassVar[str] = "opaque"

    @property
    def differentiable(self):
        return False

    def render(self, latents):
        return super().render(latents).detach()


def test_a_generator_without_gradients_leaves_the_rest_to_run():
    given = {**SMALL, "seeds": 1}
    result = compare(oracle=toy(), generator=Opaque(SHAPE), methods=["adam", "sep_cma"], **given)
    methods = {method.name: method for method in result.methods}
    assert "opaque" in methods["adam"].unavailable
    assert {run.method for run in result.runs} == {"sep_cma", "random"}
    assert result.complete


@dataclass(frozen=True)
class Cramped(Wrapper):
    """Has memory for a few rows."""

    kind: ClassVar[str] = "cramped"
    room: int = 5
    tried: list[int] = field(default_factory=list)

    def observe(self, stimuli, units):
        self.tried.append(len(stimuli))
        if len(stimuli) > self.room:
            raise OutOfMemory(f"{len(stimuli)} rows do not fit")
        return self.inner.observe(stimuli, units)


def test_batches_that_do_not_fit_into_memory_are_halved_and_the_comparison_goes_on():
    oracle = Cramped(toy())
    result = compared(oracle, seeds=1)
    assert result.complete
    assert not any(run.message for run in result.runs)
    whole = compared(toy(), seeds=1)
    assert [run.score for run in result.runs] == pytest.approx([run.score for run in whole.runs])
    assert max(oracle.tried) > oracle.room
    assert result.runs[0].robust.shape == (64,)


class Unsteady(nn.Module):
    """Adds 0, with a gradient that is no number."""

    def forward(self, x):
        return x + (x - x).sqrt()


def test_gradients_that_are_no_numbers_are_named():
    torch.manual_seed(0)
    layers = (nn.Flatten(), nn.Linear(108, 4), Unsteady(), nn.Linear(4, 3))
    result = compare(
        oracle=nn.Sequential(*layers).eval(),
        generator=Pixels(SHAPE),
        methods=["adam", "sep_cma"],
        random_search=False,
        **{**SMALL, "units": ["3:0"], "seeds": 1},
    )
    assert any("adam: the search did not move for 3:0" in text for text in result.warnings)
    assert not any("sep_cma" in text for text in result.warnings)
    assert all(np.isfinite(run.score) for run in result.runs)


def test_a_noisy_model_is_measured_afresh():
    result = compared(toy(noise=0.3, units=6), seeds=1, methods=["sep_cma"])
    again = toy(units=6)
    for run in result.runs:
        shown = torch.from_numpy(run.stimulus)[None]
        truth = float(again.observe(shown, [Unit.parse(run.unit)]))
        assert run.score_error > 0
        assert abs(run.score - truth) < 4 * run.score_error
        assert run.best_so_far[-1] != run.score
    noise = next(part for part in result.protocol if part.name == "noise")
    assert noise.kept
    assert "16 others" in noise.text


def test_the_start_of_a_noisy_model_is_no_maximum_of_noise():
    oracle = toy(noise=0.3, units=6)
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "random_search": False}
    result = compared(oracle, **small, baseline=None)
    noiseless = compared(toy(units=6), **small, baseline=None)
    for unit, truth in zip(result.units, noiseless.units, strict=True):
        assert unit.start < truth.start + 0.2  # the maximum of 64 noisy values is far above
        scores = [run.score for run in result.runs if run.unit == unit.unit]
        assert result.best_known[unit.unit] == max(*scores, unit.start)


class Afresh(local.LocalRunner):
    """Fails at the fresh measurements."""

    def run(self, plan, member):
        if member not in (plan.start, *plan.members):
            raise OracleFailed("the rig is off")
        return super().run(plan, member)


def test_without_fresh_measurements_a_noisy_run_has_no_score(monkeypatch):
    monkeypatch.setattr(local, "LocalRunner", Afresh)
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "random_search": False}
    result = compared(toy(noise=0.3), **small, baseline=None)
    assert not result.complete
    assert not result.best_known
    for run in result.runs:
        assert np.isnan(run.score)
        assert run.best_so_far.size
        assert "fresh measurements of a noisy model are missing (the rig is off)" in run.message
    assert all(np.isnan(unit.start) for unit in result.units)
    said = [text for text in result.warnings if "the rig is off" in text]
    assert [text.partition(":")[0] for text in said] == ["sep_cma", "random latents"]


class Away(local.LocalRunner):
    """Is out of reach after the searches of sep_cma."""

    def run(self, plan, member):
        found = super().run(plan, member)
        if member.method == "sep_cma":
            raise OracleUnavailable("nobody answers")
        return found


def test_what_a_search_found_before_its_model_was_away_is_kept(monkeypatch):
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "baseline": None}
    whole = compared(**small)
    monkeypatch.setattr(local, "LocalRunner", Away)
    result = compared(**small)
    mine = [run for run in result.runs if run.method == "sep_cma"]
    assert [run.score for run in mine] == [
        run.score for run in whole.runs if run.method == "sep_cma"
    ]
    assert {run.message for run in mine} == {"nobody answers"}
    assert any("nobody answers" in text for text in result.warnings)


def test_all_studies_have_the_same_transforms():
    spec = TransformsSpec((TransformSpec("jitter"),))
    problem = spec_of({"oracle": "toy", "generator": "pixels", "units": ["units:0"], "seeds": 2})
    problem = msgspec.structs.replace(problem, transforms=spec)
    examined = [Examined(0, 4) for _ in problem.all_methods]
    plan = planned(problem, ["units:0"], examined, None)
    seeds = {member.spec.transforms.seed for member in (plan.start, *plan.members)}
    assert len(seeds) == 1
    assert None not in seeds
    with pytest.raises(InvalidSpec, match=r"seeds: 1,000 seeds .* at most 999 studies"):
        planned(msgspec.structs.replace(problem, seeds=1000), ["units:0"], examined, None)


def test_a_repeated_call_measures_nothing(tmp_path, unwritten):
    oracle = Failing(toy())
    first = compared(oracle, out=tmp_path, seeds=1)
    searched = sum(oracle.served)
    oracle.served.clear()
    again = compared(oracle, out=tmp_path, seeds=1)
    assert facts(again) == facts(first)
    assert sum(oracle.served) <= searched - 64 * 2 - 12 - 30 * 2 - 60 * 4  # those of `examine`
    oracle.served.clear()
    more = compared(oracle, out=tmp_path, seeds=1, methods=["adam", "sep_cma", "snes"])
    assert len(more.runs) == len(first.runs) + 2
    assert sum(oracle.served) < searched
    kept = [run for run in more.runs if run.method == "sep_cma"]
    assert [run.score for run in kept] == [r.score for r in first.runs if r.method == "sep_cma"]


def test_a_model_that_fails_ends_a_run_and_not_the_comparison(tmp_path, unwritten):
    whole = compared(out=tmp_path / "whole", seeds=1)
    broken = compared(Failing(toy(), after=250), out=tmp_path / "broken", seeds=1)
    assert [run.method for run in broken.runs] == [run.method for run in whole.runs]
    ends = {run.method: (run.rows, run.message) for run in broken.runs}
    assert ends["adam"] == (30, "")
    assert 0 < ends["sep_cma"][0] < 60
    assert "the rig is off" in ends["sep_cma"][1]
    assert ends["random"] == (0, "the rig is off")
    assert any("the rig is off" in text for text in broken.warnings)
    mended = compared(Failing(toy()), out=tmp_path / "broken", seeds=1)
    assert facts(mended)[0] == facts(whole)[0]


@pytest.fixture
def unwritten(monkeypatch):
    """No report is written: pictures and figures take seconds."""
    monkeypatch.setattr(local, "write_all", lambda result, folder: folder)


def test_numbers_of_numpy_and_single_names_are_fine():
    methods = [
        {"name": "sep!", "optimizer": "sep_cma"},
        {"name": "sep?", "optimizer": "sep_cma"},
    ]
    result = compared(
        units="units:1",
        methods=methods,
        seeds=range(3, 4),
        budget=np.int64(20),
        random_search=False,
    )
    assert result.seeds == (3,)
    assert [run.method for run in result.runs] == ["sep!", "sep?"]
    assert result.runs[0].score == result.runs[1].score


def test_a_comparison_mixes_no_models(tmp_path, unwritten):
    compared(out=tmp_path, seeds=1, budget=30)
    with pytest.raises(ModelChanged, match=r"mixes no models.*choose another folder"):
        compared(toy(seed=1), out=tmp_path, seeds=1, budget=30)
    small = {"units": ["units:0"], "seeds": 1, "budget": 30, "baseline": "some"}
    spec = spec_of({"oracle": "toy", "generator": "pixels", "methods": [{"name": "adam"}], **small})
    compare_as(spec, models=models_of(spec, catalogue()), out=tmp_path)
    other = models_of(spec, catalogue(toy(seed=1)))
    with pytest.raises(ModelChanged, match=r"mixes no models.*choose another folder"):
        compare_as(spec, models=other, out=tmp_path, measure=False)
    for images in (IMAGES[::-1].copy(), IMAGES[1:]):
        changed = models_of(spec, catalogue(images=images))
        for measure in (True, False):
            with pytest.raises(Conflict, match="natural images of some have changed"):
                compare_as(spec, models=changed, out=tmp_path, measure=measure)


def catalogue(oracle: Oracle | None = None, images: np.ndarray = IMAGES) -> Catalogue:
    found = Catalogue()
    found.add_oracle("toy", oracle or toy())
    found.add_generator("pixels", Pixels(SHAPE))
    found.add_images("some", ImagesGiven(images))
    return found


@pytest.mark.parametrize("name", ["second", "independent"])
def test_models_that_do_not_fit_are_refused_before_any_search(name):
    oracle = Failing(toy())
    with pytest.raises(ShapeMismatch, match=f"the {name} model takes"):
        compared(oracle, **{name: toy(stimulus_shape=(3, 4, 4))})
    assert not oracle.served


def test_what_cannot_be_examined_is_a_warning(monkeypatch):
    def refuse(*given, **options):
        raise ShapeMismatch("no fit")

    monkeypatch.setattr(local, "examine", refuse)
    result = compared(seeds=1, budget=30, methods=["adam"], random_search=False)
    assert any("no fit" in text for text in result.warnings)
    assert result.runs


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"methods": ["adma"]}, InvalidSpec, "did you mean 'adam'"),
        (
            {"methods": [{"name": "adam", "parameters": {"learning_rat": 1}}]},
            InvalidInput,
            "method 'adam': ",
        ),
        ({"units": ["units:99"]}, UnknownUnit, "units:99"),
        ({"budget": 5}, InvalidSpec, "a generation of method 'sep_cma' has"),
        ({"tuning_units": ["units:4"]}, InvalidSpec, "got units:4 in both"),
        ({"baseline": "shiped"}, NotFound, "did you mean 'shipped'"),
        ({"transforms": ["jiter"]}, InvalidSpec, "did you mean 'jitter'"),
        ({"second": "cifar_vot"}, NotFound, "did you mean 'cifar_vit'"),
    ],
)
def test_wrong_comparisons(fields, error, said):
    with pytest.raises(error) as refused:
        compared(**fields)
    assert said in refused.value.message
