"""The work of checking a study grows with its targets, and with nothing else."""

import sys
from contextlib import contextmanager

import pytest

from blackbox_am.core.spec import MAX_TARGETS
from blackbox_am.errors import InvalidSpec, UnknownUnit
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc.specs import study_from_proto
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.v1 import study_pb2

CALLS_A_TARGET = 150


@contextmanager
def counted():
    """The number of function calls inside the context, as the first item of a list."""
    calls = [0]

    def count(frame, event, argument):
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def message(targets, units=10):
    objectives = [
        study_pb2.Objective(kind="mean", quantities=[f"units:{place % units}"])
        for place in range(targets)
    ]
    return study_pb2.StudySpec(
        generator=study_pb2.GeneratorSpec(name="pixels"),
        oracle="simulated",
        optimizer=study_pb2.PlugIn(name="random"),
        targets=objectives,
        budget=study_pb2.Budget(queries_per_target=64),
    )


def check(spec):
    read = study_from_proto(spec)
    return resolve(
        Request(spec=read, generator=Pixels(shape=(3, 8, 8)), oracle=Simulated(units=20))
    )


def test_the_work_grows_with_the_targets_alone():
    check(message(1))  # imports, and remembers what belongs to classes
    calls = []
    for targets in (100, 200, 400):
        with counted() as found:
            check(message(targets))
        calls.append(found[0])
    first, second = calls[1] - calls[0], calls[2] - calls[1]
    assert second < 2.1 * first
    assert second < 200 * CALLS_A_TARGET


def test_too_many_targets_are_refused_before_any_is_read():
    many = message(MAX_TARGETS + 1)
    with counted() as calls, pytest.raises(InvalidSpec, match="1 to 100000") as refused:
        study_from_proto(many)
    assert refused.value.field == "targets"
    assert calls[0] < 1000


def test_a_unit_that_many_targets_read_is_checked_once():
    with counted() as calls, pytest.raises(UnknownUnit, match="units:20"):
        check(message(500, units=21))
    assert calls[0] < 500 * CALLS_A_TARGET
