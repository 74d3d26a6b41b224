"""Specifications survive the wire, and what comes in is checked whole."""

import pytest

from blackbox_am.core.spec import (
    Budget,
    GeneratorSpec,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StudySpec,
    to_plain,
)
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.rpc import specs, structs
from blackbox_am.rpc.mapping import from_message
from blackbox_am.v1 import study_pb2 as pb

LEAF = ObjectiveSpec("mean", quantities=("fc:1",))

SPECS = {
    "plain": StudySpec((LEAF,), Budget(10), generator=GeneratorSpec("vae"), oracle="cnn"),
    "all of it": StudySpec(
        (LEAF, ObjectiveSpec("sum", weights=(1.0, -0.5), terms=(LEAF, LEAF))),
        Budget(10**9, seconds=1.5, target_score=-2.0, patience=3),
        space=SpaceSpec("box", 12, low=(0.0,), high=(1.0,), image_shape=(3, 2, 2)),
        optimizer=OptimizerSpec("sep_cma", {"population": 20, "sigma": 0.5, "tags": ["a", 2]}),
        seed=-(2**63),
        keep_latents="all",
        labels={"who": "me"},
    ),
    "sphere": StudySpec((LEAF,), Budget(1), space=SpaceSpec("sphere", 4, radius=2.5)),
    "transforms": StudySpec(
        (LEAF,),
        Budget(1),
        generator=GeneratorSpec("vae"),
        oracle="cnn",
        transforms=TransformsSpec(
            (TransformSpec("jitter", {"amount": 0.5}), TransformSpec("flip")),
            copies=3,
            redraw="generation",
            clip=False,
        ),
    ),
    "codes": StudySpec((LEAF,), Budget(1), space=SpaceSpec("categorical", 4, categories=7)),
    "product": StudySpec(
        (LEAF,),
        Budget(1),
        space=SpaceSpec("product", 5, parts=(SpaceSpec("normal", 2), SpaceSpec("sphere", 3))),
    ),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_spec_comes_back_as_it_went(spec):
    wire = specs.study_to_proto(spec).SerializeToString()
    assert specs.study_from_proto(pb.StudySpec.FromString(wire)) == spec


def test_whole_numbers_in_parameters_stay_whole():
    spec = StudySpec(
        (LEAF,),
        Budget(1),
        generator=GeneratorSpec("g"),
        optimizer=OptimizerSpec("cma", {"n": 20, "x": [3, 0.5]}),
    )
    back = specs.study_from_proto(specs.study_to_proto(spec)).optimizer.parameters
    assert back == {"n": 20, "x": [3, 0.5]}
    assert type(back["n"]) is int


@pytest.mark.parametrize("value", [2**53 + 1, {"deep": [2**60]}])
def test_numbers_that_the_wire_would_change_are_refused(value):
    with pytest.raises(InvalidSpec, match=r"2\^53"):
        structs.to_proto({"n": value})


def test_parameters_must_be_plain_and_finite():
    with pytest.raises((InvalidSpec, TypeError)):
        structs.to_proto({"n": object()})
    message = pb.PlugIn()
    message.parameters["sigma"] = float("inf")
    with pytest.raises(InvalidSpec, match="finite"):
        structs.from_proto(message.parameters)


@pytest.mark.parametrize("queries", [0, -1, 10**9 + 1])
def test_a_budget_out_of_range_is_refused(queries):
    message = specs.study_to_proto(SPECS["plain"])
    message.budget.queries_per_target = queries
    with pytest.raises(InvalidSpec, match="queries_per_target") as caught:
        specs.study_from_proto(message)
    assert caught.value.field == "budget.queries_per_target"


def test_an_empty_message_says_what_is_missing():
    with pytest.raises(InvalidSpec):
        specs.study_from_proto(pb.StudySpec())


def test_unknown_enum_numbers_are_refused():
    message = specs.study_to_proto(SPECS["plain"])
    message.keep_latents = 17
    with pytest.raises(InvalidSpec, match="17"):
        specs.study_from_proto(message)
    with pytest.raises(InvalidSpec, match="kind"):
        from_message(pb.Space(dimension=3), SpaceSpec)


def test_what_an_extension_leaves_out_stays():
    now = Budget(100, seconds=5.0, patience=4)
    assert specs.extended_from_proto(pb.Budget(queries_per_target=200), now) == Budget(
        200, seconds=5.0, patience=4
    )
    assert to_plain(specs.extended_from_proto(pb.Budget(seconds=9), now)) == {
        "queries_per_target": 100,
        "seconds": 9.0,
        "patience": 4,
    }
    with pytest.raises(InvalidSpec):
        specs.extended_from_proto(pb.Budget(queries_per_target=10**9 + 1), now)
