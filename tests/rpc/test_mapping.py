"""Every field of every value survives the wire, by whatever the strategies think of."""

import dataclasses
import math
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_am.core import study_events
from blackbox_am.core.expressions import objective
from blackbox_am.core.natural import Standing
from blackbox_am.core.spec import (
    ArrayData,
    BaselineSpec,
    Budget,
    CriterionSpec,
    GeneratorSpec,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StartSpec,
    StudySpec,
)
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.core.types import (
    Accounting,
    Estimate,
    Recheck,
    StopReason,
    StudyProgress,
    StudyState,
    TargetProgress,
)
from blackbox_am.errors import InvalidSpec
from blackbox_am.groups.spec import GroupSpec, MemberSpec
from blackbox_am.rpc import events, specs
from blackbox_am.rpc.mapping import PLACES, RESOURCES, from_message, to_message
from blackbox_am.v1 import group_service_pb2, study_event_pb2
from blackbox_am.v1 import study_pb2 as pb

words = st.text("abcxyz019-", min_size=1, max_size=8).map(lambda text: "s" + text)
units = st.builds("{}:{}".format, st.sampled_from(["fc", "layer4.1.conv2"]), st.integers(0, 999))
finite = st.floats(-1e12, 1e12)
counts = st.integers(1, 10**9)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
parameters = st.dictionaries(words, plain, max_size=3)
objectives = st.recursive(
    st.builds(
        ObjectiveSpec,
        kind=st.sampled_from(["mean", "weighted"]),
        quantities=st.lists(units, max_size=3).map(tuple),
        weights=st.lists(finite, max_size=3).map(tuple),
        parameters=parameters,
    ),
    lambda inner: st.builds(
        ObjectiveSpec, kind=st.just("sum"), terms=st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=4,
)
criteria = st.recursive(
    st.builds(
        CriterionSpec,
        kind=words,
        quantities=st.lists(units, max_size=2).map(tuple),
        parameters=parameters,
    ),
    lambda inner: st.builds(
        CriterionSpec, kind=st.just("all"), terms=st.lists(inner, max_size=2).map(tuple)
    ),
    max_leaves=3,
)
leaves = st.one_of(
    st.builds(SpaceSpec, st.just("normal"), st.integers(1, 10**7)),
    st.builds(
        SpaceSpec, st.just("sphere"), st.integers(1, 99), radius=st.none() | st.floats(0.1, 9)
    ),
    st.just(SpaceSpec("box", 6, low=(0.0,), high=(1.0,) * 6, image_shape=(1, 2, 3))),
    st.builds(
        SpaceSpec, st.just("categorical"), st.integers(1, 9), categories=st.integers(2, 10**6)
    ),
)
spaces = st.one_of(
    leaves,
    st.lists(leaves.filter(lambda s: s.dimension < 10**6), min_size=1, max_size=3).map(
        lambda parts: SpaceSpec(
            "product", sum(part.dimension for part in parts), parts=tuple(parts)
        )
    ),
)
budgets = st.builds(
    Budget,
    counts,
    seconds=st.none() | st.floats(1e-3, 1e9),
    target_score=st.none() | finite,
    patience=st.none() | counts,
    recheck_fraction=st.none() | st.floats(0, 0.99),
)
starts = st.one_of(
    st.builds(StartSpec, study=words),
    st.builds(
        StartSpec,
        latents=st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3).map(
            lambda row: ArrayData.of(np.array([row], np.float32))
        ),
    ),
)
baselines = st.builds(
    BaselineSpec, words, rows=st.integers(1, 10_000), start=st.booleans()
) | st.builds(BaselineSpec, artifact=words)
transforms = st.builds(
    TransformsSpec,
    st.lists(st.builds(TransformSpec, words, parameters), min_size=1, max_size=3).map(tuple),
    copies=st.integers(1, 1024),
    redraw=st.sampled_from(["fixed", "generation"]),
    clip=st.booleans(),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
)
generators = st.builds(
    GeneratorSpec, words, parameters=parameters, inputs=st.dictionaries(words, words, max_size=2)
)


@st.composite
def studies(draw):
    targets = tuple(draw(st.lists(objectives, min_size=1, max_size=3)))
    bare = draw(st.booleans())
    oracle = None if bare else draw(st.none() | words)
    return StudySpec(
        targets,
        draw(budgets),
        generator=None if bare else draw(generators),
        space=draw(spaces) if bare else None,
        oracle=oracle,
        optimizer=draw(st.builds(OptimizerSpec, words, parameters)),
        criteria=draw(st.lists(criteria, max_size=1).map(tuple)),
        seed=draw(st.integers(-(2**63), 2**63 - 1)),
        start=draw(st.none() | starts),
        baseline=None if bare else draw(st.none() | baselines),
        transforms=draw(st.none() | transforms) if oracle else None,
        keep_latents=draw(st.sampled_from(["best", "all"])),
        measured_for=draw(st.sampled_from(["search", "clean", "verify"])),
        labels=draw(st.dictionaries(words, st.text(max_size=5), max_size=2)),
    )


@settings(max_examples=40, deadline=None)
@given(studies())
def test_specifications_come_back(spec):
    wire = specs.study_to_proto(spec).SerializeToString()
    assert specs.study_from_proto(pb.StudySpec.FromString(wire)) == spec


@settings(max_examples=40, deadline=None)
@given(st.lists(studies(), min_size=1, max_size=3), st.dictionaries(words, words, max_size=2))
def test_groups_come_back(members, labels):
    spec = GroupSpec(
        tuple(MemberSpec(f"m{index}", member) for index, member in enumerate(members)), labels
    )
    wire = to_message(spec, group_service_pb2.GroupSpec()).SerializeToString()
    assert from_message(group_service_pb2.GroupSpec.FromString(wire), GroupSpec) == spec


small = st.integers(0, 2**31 - 1)
large = st.integers(0, 2**63 - 1)
scores = st.lists(st.floats(allow_nan=False), max_size=3).map(tuple)
numbers = st.floats(allow_nan=False)
places = st.builds(Standing, small, small, *[numbers] * 3, *[st.none() | numbers] * 3)
estimates = st.builds(Estimate, numbers, st.none() | numbers, small)
rechecks = st.builds(Recheck, st.sampled_from(["row", "centre"]), estimates, st.none() | estimates)
targets = st.builds(
    TargetProgress,
    small,
    st.text(max_size=9),
    small,
    st.none() | st.floats(allow_nan=False),
    st.sampled_from(StopReason),
    natural=st.none() | places,
    recheck=st.none() | rechecks,
    recheck_rows=small,
)
progresses = st.builds(
    StudyProgress,
    words,
    st.sampled_from(StudyState),
    st.sampled_from(StopReason),
    st.text(max_size=9),
    large,
    small,
    st.lists(targets, max_size=3).map(tuple),
    counts,
    large,
    large,
    st.floats(0, 1e9),
    words,
    st.text(max_size=9),
    st.builds(
        Accounting, large, large, large, large, large, st.floats(0, 1e9), large, large, large
    ),
)


@settings(max_examples=40, deadline=None)
@given(progresses)
def test_progress_comes_back(progress):
    wire = to_message(progress, pb.Study()).SerializeToString()
    assert from_message(pb.Study.FromString(wire), StudyProgress) == progress


moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
fields = {
    "sequence": large,
    "time": moments,
    "state": st.sampled_from(StudyState),
    "stop_reason": st.sampled_from(StopReason),
    "message": st.text(max_size=9),
    "generation": small,
    "candidates": large,
    "rows": large,
    "failed": large,
    "targets": st.lists(small, max_size=3).map(tuple),
    "best_scores": scores,
    "mean_scores": scores,
    "best_so_far": scores,
    "standard_errors": scores,
    "images": large,
    "total_rows": large,
    "search_rows": large,
    "seconds": st.floats(0, 1e9),
    "budget": budgets,
    "exact": st.booleans(),
    "oracle_fingerprint": words,
    "generator_fingerprint": words,
}


@pytest.mark.parametrize("kind", events.KINDS.values(), ids=events.KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_events_come_back(kind, data):
    event = kind(**{f.name: data.draw(fields[f.name]) for f in dataclasses.fields(kind)})
    wire = events.to_proto(event).SerializeToString()
    assert events.from_proto(study_event_pb2.StudyEvent.FromString(wire)) == event


def test_every_kind_of_event_has_its_place():
    assert [f.name for f in study_event_pb2.StudyEvent.DESCRIPTOR.oneofs[0].fields] == list(
        events.KINDS
    )
    assert set(events.KINDS.values()) == set(study_events.StudyEvent.__subclasses__())


def test_an_event_of_a_newer_server_is_passed_on_without_its_content():
    message = study_event_pb2.StudyEvent(sequence=7)
    found = events.from_proto(message)
    assert type(found) is study_events.StudyEvent
    assert found.sequence == 7


def test_nothing_of_a_value_is_left_behind():
    """Each field has a place in its message: by its own name, or by the tables."""
    pairs = [
        (StudySpec, pb.StudySpec),
        (ObjectiveSpec, pb.Objective),
        (CriterionSpec, pb.Criterion),
        (GeneratorSpec, pb.GeneratorSpec),
        (OptimizerSpec, pb.PlugIn),
        (SpaceSpec, pb.Space),
        (Budget, pb.Budget),
        (StartSpec, pb.Start),
        (TransformsSpec, pb.Transforms),
        (TransformSpec, pb.PlugIn),
        (StudyProgress, pb.Study),
        (TargetProgress, pb.TargetProgress),
        (Accounting, pb.Accounting),
        *(
            (kind, getattr(study_event_pb2.StudyEvent(), field).__class__)
            for field, kind in events.KINDS.items()
        ),
    ]
    for kind, message in pairs:
        struct = issubclass(kind, msgspec.Struct)
        names = kind.__struct_fields__ if struct else [f.name for f in dataclasses.fields(kind)]
        for name in set(names) - {"sequence", "time"} if "Event" in str(kind.__mro__) else names:
            descriptor = message.DESCRIPTOR
            for step in PLACES.get(kind, {}).get(name, name).split("."):
                field = descriptor.fields_by_name[step]
                descriptor = field.message_type
    assert {kind for kind, _ in RESOURCES} <= {kind for kind, _ in pairs}


def test_an_empty_kind_of_objective_is_the_mean():
    message = pb.StudySpec(
        generator=pb.GeneratorSpec(name="g"),
        targets=[pb.Objective(quantities=["fc:1"])],
        budget=pb.Budget(queries_per_target=1),
    )
    assert specs.study_from_proto(message).targets[0] == ObjectiveSpec("mean", quantities=("fc:1",))


def test_an_expression_is_the_tree_that_it_names():
    message = pb.StudySpec(
        generator=pb.GeneratorSpec(name="g"),
        targets=[pb.Objective(expression="fc:1 - 0.5*mean(fc:2, fc:3)")],
        budget=pb.Budget(queries_per_target=1),
    )
    read = specs.study_from_proto(message)
    assert read.targets[0] == objective("fc:1 - 0.5*mean(fc:2, fc:3)")
    assert read.targets[0].weights == (1.0, -0.5)
    answer = specs.study_to_proto(read).targets[0]
    assert (answer.kind, answer.expression, len(answer.terms)) == ("sum", "", 2)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_parameters_that_are_no_number_name_their_field(number):
    message = pb.StudySpec(generator=pb.GeneratorSpec(name="g"))
    message.generator.parameters["x"] = number
    with pytest.raises(InvalidSpec, match="finite") as found:
        specs.study_from_proto(message)
    assert found.value.field == "generator.parameters"
