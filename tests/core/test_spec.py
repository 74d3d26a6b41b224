import dataclasses
import math
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.expressions import objective
from blackbox_am.core.parameters import parameters_of
from blackbox_am.core.spec import (
    Budget,
    CriterionSpec,
    GeneratorSpec,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StudySpec,
    from_plain,
    to_plain,
)
from blackbox_am.errors import InvalidInput, InvalidSpec

NORMAL = SpaceSpec("normal", 8)
BUDGET = Budget(1000)
HEAD = ObjectiveSpec("mean", quantities=("fc:3",))


def study(**changes: Any) -> dict[str, Any]:
    plain = {
        "targets": [{"kind": "mean", "quantities": ["fc:3"]}],
        "budget": {"queries_per_target": 1000},
        "generator": "vae",
        "oracle": "cnn",
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def test_a_study_from_plain_data() -> None:
    spec = from_plain(StudySpec, study())
    assert spec == StudySpec((HEAD,), BUDGET, generator=GeneratorSpec("vae"), oracle="cnn")
    assert spec.optimizer == OptimizerSpec("auto")


spaces = st.one_of(
    st.builds(SpaceSpec, st.just("normal"), st.integers(1, 10**6)),
    st.builds(SpaceSpec, st.just("sphere"), st.integers(1, 99), radius=st.floats(0.1, 10)),
    st.builds(
        SpaceSpec,
        st.just("box"),
        st.integers(1, 99),
        low=st.floats(-2, -1).map(lambda x: (x,)),
        high=st.floats(1, 2).map(lambda x: (x,)),
    ),
    st.builds(
        SpaceSpec, st.just("categorical"), st.integers(1, 99), categories=st.integers(2, 999)
    ),
)
products = st.lists(spaces, min_size=1, max_size=3).map(
    lambda parts: SpaceSpec("product", sum(part.dimension for part in parts), parts=tuple(parts))
)
studies = st.builds(
    StudySpec,
    st.lists(st.just(HEAD), min_size=1, max_size=3).map(tuple),
    st.builds(
        Budget,
        st.integers(1, 10**9),
        st.none() | st.floats(0.5, 1e6),
        st.none() | st.floats(-1e6, 1e6),
        st.none() | st.integers(1, 100),
    ),
    space=spaces | products,
    seed=st.integers(-(2**63), 2**63 - 1),
    keep_latents=st.sampled_from(["best", "all"]),
    labels=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


@given(studies)
def test_plain_data_and_json_lose_nothing(spec: StudySpec) -> None:
    assert from_plain(StudySpec, to_plain(spec)) == spec
    assert msgspec.json.decode(msgspec.json.encode(spec), type=StudySpec) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": []}, "targets must be 1 to"),
        ({"targets": [{"kind": 3}]}, r"targets\[0\]\.kind"),
        ({"budget": {"queries_per_target": 0}}, "queries_per_target"),
        ({"budget": {"queries_per_target": 1.5}}, "queries_per_target"),
        ({"budget": {"queries_per_target": 9, "seconds": 0}}, "seconds"),
        ({"budget": {"queries_per_target": 9, "seconds": math.inf}}, "finite"),
        ({"budget": {"queries_per_target": 9, "target_score": math.nan}}, "finite"),
        ({"budget": {"queries_per_target": 9, "patience": 0}}, "patience"),
        ({"budget": None}, "budget"),
        ({"space": {"kind": "normal", "dimension": 3}}, "one of the two"),
        ({"generator": None}, "one of the two"),
        ({"generator": None, "space": {"kind": "normal", "dimension": 3}}, "no stimuli"),
        ({"seed": 2**63}, "seed|[Ii]nteger"),
        ({"keep_latents": "some"}, "keep_latents"),
        ({"optimizer": {"nam": "cma"}}, "no field 'optimizer.nam'; did you mean 'name'"),
        ({"generator": {"name": ""}}, "generator.name"),
        ({"criteria": [{"kind": "threshold"}] * 2}, "one for each of the 1 targets, got 2"),
    ],
)
def test_bad_studies_name_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        from_plain(StudySpec, study(**changes))


def test_a_name_stands_for_the_generator_as_the_catalogue_has_it() -> None:
    named = from_plain(StudySpec, study(generator={"name": "vae"}))
    assert from_plain(StudySpec, study()) == named
    assert named.generator == GeneratorSpec("vae")
    full = {"name": "perturbation", "parameters": {"radius": 0.1}, "inputs": {"around": "ab12"}}
    spec = from_plain(StudySpec, study(generator=full))
    assert to_plain(spec)["generator"] == full


def test_criteria_are_none_one_or_one_a_target() -> None:
    met = CriterionSpec("threshold", ("fc:3",), {"at_least": 2.0})
    both = CriterionSpec("all", terms=(met, met))
    for criteria in ((), (met,), (met, both)):
        plain = study(
            targets=[to_plain(HEAD)] * 2, criteria=[to_plain(criterion) for criterion in criteria]
        )
        assert from_plain(StudySpec, plain).criteria == criteria


def test_an_objective_has_parameters() -> None:
    spec = ObjectiveSpec("margin", ("fc:3",), parameters={"over": "runner-up"})
    assert from_plain(ObjectiveSpec, to_plain(spec)) == spec


def test_misspelt_fields_name_near_ones() -> None:
    with pytest.raises(InvalidSpec, match="did you mean 'generator'"):
        from_plain(StudySpec, study(generatr="vae"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"kind": "cube", "dimension": 3}, "kind"),
        ({"kind": "normal", "dimension": 0}, "dimension"),
        ({"kind": "normal", "dimension": 10**7 + 1}, "dimension"),
        ({"kind": "normal", "dimension": 8, "image_shape": [2, 2, 3]}, "12 values"),
        ({"kind": "sphere", "dimension": 3, "radius": 0}, "radius"),
        ({"kind": "box", "dimension": 3}, "low must hold 1 or 3"),
        ({"kind": "box", "dimension": 3, "low": [0, 0], "high": [1]}, "got 2"),
        ({"kind": "box", "dimension": 2, "low": [0], "high": [1, -1]}, "coordinate 1"),
        ({"kind": "box", "dimension": 1, "low": [math.nan], "high": [1]}, "finite"),
        ({"kind": "categorical", "dimension": 3, "categories": 1}, "at least 2"),
        (
            {"kind": "product", "dimension": 3, "parts": [{"kind": "normal", "dimension": 2}]},
            "2 dimensions in all",
        ),
    ],
)
def test_bad_spaces_name_what_is_wrong(space: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        from_plain(SpaceSpec, space)


def test_an_address_stands_for_the_mean_of_its_unit() -> None:
    assert objective("fc:3") == objective("fc:3!mean") == objective(HEAD) == HEAD
    with pytest.raises(InvalidInput, match="not a unit"):
        objective("fc:")


@dataclasses.dataclass(frozen=True)
class Plug:
    kind: ClassVar[str] = "plug"

    population: int = 20
    step: float = 0.5

    def __post_init__(self) -> None:
        if self.step <= 0:
            raise ValueError(f"step must be positive, got {self.step}")


def test_parameters_build_a_plug_in() -> None:
    assert parameters_of(Plug, "plug", {"population": 7}) == Plug(7)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"populatin": 7}, "plug has no parameter 'populatin'; did you mean 'population'"),
        ({"kind": "other"}, "plug has no parameter 'kind'"),
        ({"population": "7"}, "plug: .*population"),
        ({"population": 7.5}, "plug: .*population"),
        ({"step": -1.0}, "plug: .*step must be positive"),
    ],
)
def test_bad_parameters_name_what_is_wrong(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        parameters_of(Plug, "plug", parameters)
