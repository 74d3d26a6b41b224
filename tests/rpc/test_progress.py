"""What people look at survives the wire; a stranger's description is checked."""

from dataclasses import replace

import numpy as np
import pytest

from blackbox_am.core.types import (
    Accounting,
    Best,
    CandidateId,
    Capability,
    GenerationScores,
    LayerInfo,
    OracleInfo,
    StopReason,
    StudyProgress,
    StudyState,
    TargetProgress,
)
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import progress, times
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2 as pb

INFO = OracleInfo(
    "simulated",
    Capability.MAPS,
    (3, 8, 8),
    (
        LayerInfo("conv", "conv", (4, 8, 8), ("unit", "height", "width"), True),
        LayerInfo("fc", "linear", (2,), ("unit",), labels=("cat", "dog")),
    ),
    deterministic=False,
    batch_size=32,
)


@pytest.mark.parametrize("state", StudyState)
@pytest.mark.parametrize("reason", StopReason)
def test_progress_comes_back(state, reason):
    there = StudyProgress(
        "a1",
        state,
        reason,
        "why",
        7,
        3,
        (TargetProgress(0, "fc:1", 60, None), TargetProgress(1, "fc:2", 60, -0.5, reason)),
        500,
        120,
        4,
        1.25,
        "cma",
        "a warning",
        Accounting(7, 130, 2, 10, 5, 0.75, 4, 50, 20),
    )
    wire = progress.progress_to_proto(there).SerializeToString()
    assert progress.progress_from_proto(pb.Study.FromString(wire)) == there


def test_a_state_of_a_later_server_is_unknown():
    for number in (0, 99):
        assert progress.state_from_proto(number) is StudyState.UNKNOWN


@pytest.mark.parametrize("stimulus", [None, np.full((3, 2, 2), 0.25, np.float32)])
def test_best_comes_back(stimulus):
    latent = np.arange(3, dtype=np.int64)
    there = Best(2, "fc:1", 1.5, CandidateId("a1", 4, 2, 9), latent, stimulus)
    back = progress.best_from_proto(progress.best_to_proto(there), "a1")
    assert (back.target, back.title, back.score) == (2, "fc:1", 1.5)
    assert back.candidate == there.candidate
    np.testing.assert_array_equal(back.latent, latent)
    if stimulus is None:
        assert back.stimulus is None
    else:
        np.testing.assert_array_equal(back.stimulus, stimulus)


def test_generations_come_back():
    scores = np.array([[1.0, np.nan], [2.0, 3.0]])
    back = progress.generation_from_proto(
        progress.generation_to_proto(GenerationScores(5, (0, 3), scores, 0.5))
    )
    assert (back.generation, back.targets, back.seconds) == (5, (0, 3), 0.5)
    np.testing.assert_array_equal(back.scores, scores)


def test_oracles_come_back():
    assert progress.oracle_from_proto(progress.oracle_to_proto("x", INFO)) == INFO
    wrapped = replace(INFO, wrappers=("retry", "cache"))
    assert progress.oracle_from_proto(progress.oracle_to_proto("x", wrapped)) == wrapped


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"capabilities": []}, "capabilities"),
        ({"capabilities": [77]}, "77"),
        ({"stimulus_shape": [3, 0]}, "stimulus_shape"),
        ({"layers": [oracle_pb.Layer(name="fc", shape=[2], axes=["width"])]}, "'unit'"),
        ({"layers": [oracle_pb.Layer(name="fc", shape=[2, 3], axes=["unit"])]}, "axes"),
    ],
)
def test_descriptions_without_sense_are_refused(change, says):
    message = progress.oracle_to_proto("x", INFO)
    for name in change:
        message.ClearField(name)
    message.MergeFrom(oracle_pb.DescribeOracleResponse(**change))
    with pytest.raises(InvalidInput, match=says):
        progress.oracle_from_proto(message)


def test_times_come_back():
    assert times.time_from_proto(times.time_to_proto(1.5e9)).timestamp() == 1.5e9
