"""Comparisons in this process: every number comes from a study, and a repeated call runs none."""

import msgspec
import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue, ImagesGiven
from blackbox_am.comparisons import local
from blackbox_am.comparisons.local import compare_as, models_of
from blackbox_am.comparisons.planning import Examined, planned
from blackbox_am.comparisons.problem import spec_of
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    Conflict,
    InvalidInput,
    InvalidSpec,
    ModelChanged,
    NotFound,
    ShapeMismatch,
    UnknownUnit,
)
from blackbox_am.generators.parametric.pixels import Pixels
from tests.comparisons.toys import IMAGES, SHAPE, Failing, compared, facts, toy


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
