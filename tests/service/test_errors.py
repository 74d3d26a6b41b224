"""Every error arrives as what it was: server, wire, client, one table."""

import logging
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from blackbox_am import errors
from blackbox_am.client import connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.rpc import status, tensors
from blackbox_am.service.studies import StudyService
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.error_reason_pb2 import ErrorReason
from blackbox_am.v1.tensor_pb2 import Dtype, Tensor


def all_classes(base=errors.BlackboxError):
    return [base, *(c for sub in base.__subclasses__() for c in all_classes(sub))]


OURS = [c for c in all_classes() if c.__module__ == "blackbox_am.errors"]


@pytest.fixture
def raising(monkeypatch):
    """Makes GetStudy raise."""

    def install(error):
        def boom(backend, study_id, full):
            raise error

        monkeypatch.setattr("blackbox_am.service.studies.view", boom)

    return install


def caught(raw, method, request):
    with pytest.raises(grpc.RpcError) as found:
        method(request, timeout=10)
    return found.value


@pytest.mark.parametrize("error_class", OURS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("field", ["", "budget.seconds"])
def test_a_class_arrives_as_itself(raising, client, raw, error_class, field):
    assert error_class in status.CODES
    raising(error_class("expected this, got ü", field=field))
    with pytest.raises(errors.BlackboxError) as found:
        client.study("a1")
    assert type(found.value) is error_class
    assert found.value.message == "expected this, got ü"
    assert found.value.field == field


def test_every_class_has_a_value_of_its_own():
    values = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    reasons = [status.reason_of(error_class) for error_class in status.CODES if error_class in OURS]
    assert len(set(reasons)) == len(reasons)
    assert {*reasons} - {"BLACKBOX_ERROR"} <= values


def test_other_languages_find_code_and_details(raising, raw):
    raising(errors.QuotaExceeded("enough for today", field="oracle", retry_after=60))
    error = caught(raw, raw.studies.GetStudy, pb.GetStudyRequest(name="studies/a"))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "enough for today"
    details = Status.FromString(dict(error.trailing_metadata())[status.DETAILS_KEY]).details
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    assert details[0].Unpack(info)
    assert (info.reason, info.domain) == ("QUOTA_EXCEEDED", "blackbox_am")
    assert details[1].Unpack(bad)
    assert bad.field_violations[0].field == "oracle"
    assert details[2].Unpack(retry)
    assert retry.retry_delay.seconds > 0


def test_a_bug_is_logged_and_not_told(raising, client, caplog):
    raising(KeyError("the secret password"))
    with caplog.at_level(logging.ERROR), pytest.raises(errors.ServerFailed) as found:
        client.study("a1")
    assert found.value.message == "internal error; see the server's log"
    assert "the secret password" in caplog.text
    assert "Traceback" in caplog.text


def test_an_unlisted_subclass_arrives_as_its_base(raising, client):
    class Mine(errors.OracleFailed):
        pass

    raising(Mine("hm"))
    with pytest.raises(errors.OracleFailed, match="hm"):
        client.study("a1")


def test_a_message_too_long_for_headers_is_shortened(raising, client):
    raising(errors.InvalidInput("ü" * 100_000, field="x" * 100_000))
    with pytest.raises(errors.InvalidInput) as found:
        client.study("a1")
    assert found.value.message.startswith("üüü")
    assert found.value.message.endswith("...")


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "refused", errors.ServerUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", errors.ServerUnavailable),
        (grpc.StatusCode.CANCELLED, "", errors.ServerUnavailable),
        (grpc.StatusCode.UNIMPLEMENTED, "no method", errors.Unsupported),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max (9 vs. 4)", errors.MessageTooLarge),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down", errors.QuotaExceeded),
        (grpc.StatusCode.NOT_FOUND, "", errors.NotFound),
        (grpc.StatusCode.PERMISSION_DENIED, "", errors.Denied),
        (grpc.StatusCode.UNAUTHENTICATED, "", errors.Unauthenticated),
        (grpc.StatusCode.INVALID_ARGUMENT, "", errors.InvalidInput),
        (grpc.StatusCode.OUT_OF_RANGE, "", errors.ServerFailed),
        (grpc.StatusCode.INTERNAL, "", errors.ServerFailed),
    ],
)
@pytest.mark.parametrize("metadata", [(), ((status.DETAILS_KEY, b"\xff\xff"),), None])
def test_a_strangers_status_is_read_by_its_code(code, details, expected, metadata):
    stranger = SimpleNamespace(
        code=lambda: code, details=lambda: details, trailing_metadata=lambda: metadata
    )
    found = status.from_rpc_error(stranger, "far:1")
    assert type(found) is expected
    assert found.message


# The ways in which a request can be wrong


def test_nobody_there():
    with pytest.raises(errors.ServerUnavailable, match=r"localhost:9.*check that the server runs"):
        connect("localhost:9", timeout=5)


def test_unknown_study(client):
    with pytest.raises(errors.NotFound, match="no study 'nobody'"):
        client.study("nobody")
    with pytest.raises(errors.InvalidInput, match="not a study id"):
        client.study("No Body")


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"targets": ["units:10"]}, errors.UnknownUnit, "0 to 9, got 10"),
        ({"targets": ["unit:1"]}, errors.UnknownUnit, "did you mean 'units'"),
        ({"targets": ["units:1@center"]}, errors.UnknownUnit, "no positions"),
        ({"targets": ["units:0@"]}, errors.InvalidInput, "not a unit"),
        ({"targets": []}, errors.InvalidSpec, "targets"),
        ({"queries_per_target": 0}, errors.InvalidSpec, "queries_per_target"),
        ({"queries_per_target": 10**12}, errors.InvalidSpec, "queries_per_target"),
        ({"optimizer": "cmaa"}, errors.InvalidSpec, "did you mean 'cma'"),
        ({"parameters": {"populatoin": 8}}, errors.InvalidSpec, "did you mean 'population'"),
        ({"parameters": {"population": "x"}}, errors.InvalidSpec, "population"),
        ({"optimizer": "adam"}, errors.GradientUnavailable, "gradient-free"),
        ({"optimizer": "adam", "oracle": None}, errors.GradientUnavailable, "gradient-free"),
        ({"oracle": "simm"}, errors.NotFound, "did you mean 'sim'"),
        ({"generator": "pixel"}, errors.NotFound, "did you mean 'pixels'"),
        ({"generator": "small"}, errors.ShapeMismatch, r"\(1, 4, 4\)"),
        ({"generator": None}, errors.InvalidSpec, "generator or a space"),
        ({"space": SpaceSpec("normal", 3)}, errors.InvalidSpec, "one of the two"),
        ({"study_id": "Not An Id"}, errors.InvalidInput, "not a study id"),
        ({"seconds": -1.0}, errors.InvalidSpec, "seconds"),
    ],
)
def test_studies_that_cannot_work(client, changes, error, says):
    wanted = {"targets": ["units:0"], "generator": "pixels", "oracle": "sim", **changes}
    with pytest.raises(error, match=says) as found:
        client.create(**wanted)
    assert type(found.value) is error
    assert client.studies() == []


@pytest.mark.parametrize("queries", [0, -3, 10**9 + 1])
def test_the_server_checks_budgets_itself(raw, spec, queries):
    spec.budget.queries_per_target = queries
    error = caught(raw, raw.studies.CreateStudy, pb.CreateStudyRequest(spec=spec))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = status.from_rpc_error(error)
    assert isinstance(found, errors.InvalidSpec)
    assert found.field == "spec.budget.queries_per_target"


def test_an_empty_request(raw):
    error = caught(raw, raw.studies.CreateStudy, pb.CreateStudyRequest())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = caught(raw, raw.studies.GetStudy, pb.GetStudyRequest())
    assert "expected studies/STUDY_ID" in error.details()


def test_an_oversized_message(raw):
    stimuli = tensors.to_proto(np.zeros((2 * 2**20, 3), np.uint8))
    error = caught(raw, raw.oracles.Observe, oracle_pb.ObserveRequest(stimuli=stimuli))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    found = status.from_rpc_error(error)
    assert isinstance(found, errors.InvalidInput)
    assert "send fewer rows" in found.message
    assert "max_message_bytes" in found.message


@pytest.mark.parametrize(
    ("stimuli", "error", "says"),
    [
        (Tensor(), errors.ShapeMismatch, "is the tensor filled in"),
        (
            Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=[1, 3, 8, 8], data=b"12"),
            errors.ShapeMismatch,
            "768 bytes, got 2",
        ),
        (
            Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=[-1, 3], data=b""),
            errors.ShapeMismatch,
            "negative",
        ),
        (tensors.to_proto(np.zeros((1, 3, 8, 9), "f4")), errors.ShapeMismatch, "expected shape"),
        (tensors.to_proto(np.zeros((1, 3, 8, 8), "i4")), errors.ShapeMismatch, "int32"),
        (tensors.to_proto(np.full((1, 3, 8, 8), 2, "f4")), errors.InvalidInput, r"in \[0, 1\]"),
        (tensors.to_proto(np.full((1, 3, 8, 8), np.nan, "f4")), errors.InvalidInput, "nan"),
        (tensors.to_proto(np.float32(0.5).reshape(())), errors.ShapeMismatch, "one number"),
    ],
)
def test_malformed_stimuli(raw, stimuli, error, says):
    request = oracle_pb.ObserveRequest(oracle="sim", stimuli=stimuli, units=["units:0"])
    found = status.from_rpc_error(caught(raw, raw.oracles.Observe, request))
    assert type(found) is error
    assert says.replace("\\", "") in found.message


def test_every_method_is_served():
    served = {name for name in vars(StudyService) if name[0].isupper()}
    methods = pb.DESCRIPTOR.services_by_name["StudyService"].methods
    assert served == {method.name for method in methods}


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ("nevergrad:TwoPointDE", errors.InvalidSpec, "did you mean 'TwoPointsDE'"),
        ("nevergrad:Nope", errors.InvalidSpec, "no optimizer called 'Nope'; did you mean "),
        ("nevergrad:MetaModel", errors.Unsupported, "use another, such as nevergrad:DiagonalCMA"),
        ("cma:PSO", errors.InvalidSpec, "cma is one optimizer and has no members"),
    ],
)
def test_members_of_a_family_that_cannot_be_had(client, optimizer, error, message):
    with pytest.raises(error, match=message):
        client.create(
            oracle="sim",
            generator="pixels",
            targets=["units:0"],
            optimizer=optimizer,
            queries_per_target=100,
        )


def test_a_member_of_a_family_searches(client):
    study = client.create(
        oracle="sim",
        generator="pixels",
        targets=["units:0"],
        optimizer="nevergrad:TwoPointsDE",
        parameters={"population": 8},
        queries_per_target=40,
    )
    study.wait()
    assert study.progress().state.value == "succeeded"
