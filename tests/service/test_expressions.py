"""Expressions over the wire: whatever a caller writes is read, or is bad input."""

import grpc
import pytest

from blackbox_am.rpc import status
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

VALUES = (
    "[" * 15_000,
    "[" * 9000 + "]" * 9000,
    '{"a": ' * 2000 + "1" + "}" * 2000,
    "1" * 5000,
    "9" * 400,
    "NaN",
    "[1, -Infinity]",
    "1e999",
    '"\\ud800"',
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:12])
@pytest.mark.parametrize("text", ["weighted(units:0, weights={})", "margin(units:0, label={})"])
def test_a_value_that_is_none_is_bad_input(raw, spec, text, value):
    del spec.targets[:]
    spec.targets.append(study_pb2.Objective(expression=text.format(value)))
    with pytest.raises(grpc.RpcError) as caught:
        raw.studies.CreateStudy(pb.CreateStudyRequest(spec=spec))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = status.from_rpc_error(caught.value)
    assert error.field.startswith("spec.targets")
    assert "^" in error.message
