"""What a client, a disk or an operator can get wrong: told over the wire, and nothing lost."""

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec
from blackbox_am.errors import (
    InvalidInput,
    InvalidSpec,
    ShapeMismatch,
)
from blackbox_am.rpc import status, tensors
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Dtype, Tensor


def refused(method, request):
    """The error of a call that must be refused as bad input."""
    with pytest.raises(grpc.RpcError) as found:
        list(method(request, timeout=20))
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT, found.value.details()
    return status.from_rpc_error(found.value)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ([1] * 65, "at most 32 axes"),
        ([2**62] * 30_000, "at most 32 axes"),
        ([2**62, 2**62, 0], "no array has the shape"),
        ([2**62, 2**62, 2], "bytes, got 0"),
    ],
)
def test_shapes_that_no_array_has(raw, client, shape, says):
    tensor = Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=shape)
    for method, request in (
        (raw.oracles.Observe, oracle_pb.ObserveRequest(oracle="sim", stimuli=tensor)),
        (
            lambda r, timeout: raw.oracles.ObserveStream(iter([r]), timeout=timeout),
            oracle_pb.ObserveStreamRequest(
                header=oracle_pb.ObserveRequest(oracle="sim", stimuli=tensor)
            ),
        ),
        (raw.catalog.Render, catalog_pb.RenderRequest(generator="pixels", latents=tensor)),
        (raw.studies.Tell, pb.TellRequest(name="studies/none", activations=tensor)),
    ):
        found = refused(method, request)
        assert isinstance(found, ShapeMismatch | InvalidInput)
        assert says in found.message or "are taken" in found.message


@pytest.mark.parametrize("data", [b"\xff" * 30, b"\x0a\x7f\x01"])
def test_bytes_that_are_no_message(raw, data):
    method = raw.channel.unary_unary("/blackbox_am.v1.StudyService/CreateStudy")
    assert "cannot be read" in refused(method, data).message
    stream = raw.channel.stream_stream("/blackbox_am.v1.OracleService/ObserveStream")
    found = refused(lambda d, timeout: stream(iter([d]), timeout=timeout), data)
    assert "cannot be read" in found.message


def test_trees_too_deep(raw, client):
    nested = b"\x0a\x04mean\x12\x03u:0"
    for _ in range(1000):
        nested = b"\x0a\x03sum\x2a" + _length(nested) + nested
    spec = b"\x22" + _length(nested) + nested  # targets
    method = raw.channel.unary_unary("/blackbox_am.v1.StudyService/CreateStudy")
    assert "nested" in refused(method, b"\x0a" + _length(spec) + spec).message
    with pytest.raises(InvalidSpec, match="nested 64 deep"):
        _tower(1000)
    part = study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=2)
    for _ in range(80):
        part = study_pb2.Space(kind=study_pb2.SPACE_KIND_PRODUCT, dimension=2, parts=[part])
    assert "nested 64 deep" in _creation(raw, space=part).message


def _tower(height):
    tree = ObjectiveSpec("mean", quantities=("u:0",))
    for _ in range(height):
        tree = ObjectiveSpec("sum", terms=(tree,))
    return tree


def _length(data):
    left, out = len(data), b""
    while True:
        left, low = left >> 7, left & 127
        out += bytes([low | (128 if left else 0)])
        if not left:
            return out


def _creation(raw, **changes):
    spec = study_pb2.StudySpec(
        space=study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=4),
        targets=[study_pb2.Objective(kind="mean", quantities=["u:0"])],
        budget=study_pb2.Budget(queries_per_target=100_000),
    )
    for field, value in changes.items():
        spec.ClearField(field)
        if field == "targets":
            spec.targets.extend(value)
        else:
            getattr(spec, field).CopyFrom(value)
    return refused(raw.studies.CreateStudy, pb.CreateStudyRequest(spec=spec, validate_only=True))


def test_numbers_that_spoil_a_search(raw):
    leaf = study_pb2.Objective(kind="mean", quantities=["u:0"])
    for weight in (np.nan, np.inf):
        tree = study_pb2.Objective(kind="sum", weights=[weight], terms=[leaf])
        assert "finite weights" in _creation(raw, targets=[tree]).message
    sphere = study_pb2.Space(kind=study_pb2.SPACE_KIND_SPHERE, dimension=2, radius=1e300)
    assert "radius" in _creation(raw, space=sphere).message
    box = study_pb2.Space(kind=study_pb2.SPACE_KIND_BOX, dimension=2, low=[-1e300], high=[1])
    assert "low" in _creation(raw, space=box).message
    image = study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=4, image_shape=[-2, -2])
    assert "image_shape" in _creation(raw, space=image).message


def test_a_cheap_request_takes_no_great_memory(raw):
    wide = study_pb2.Objective(kind="mean", quantities=[f"u:{i}" for i in range(50_000)])
    many = study_pb2.PlugIn(name="random")
    many.parameters.update({"population": 100_000})
    assert "too large" in _creation(raw, targets=[wide], optimizer=many).message
    large = study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=10_000_000)
    assert "too large" in _creation(raw, space=large, optimizer=many).message
    greedy = study_pb2.PlugIn(name="cma")
    greedy.parameters.update({"max_bytes": 2**50})
    assert "max_bytes can be at most" in _creation(raw, optimizer=greedy).message
    stimuli = np.zeros((10_000, 3, 8, 8), np.uint8)
    request = oracle_pb.ObserveRequest(
        oracle="sim", stimuli=tensors.to_proto(stimuli), units=["units:0"] * 20_000
    )
    assert "too many for one answer" in refused(raw.oracles.Observe, request).message


def test_numbers_of_thousands_of_digits(raw, client):
    digits = "9" * 5000
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
    with pytest.raises(InvalidInput, match="expected ids of candidates"):
        study.tell([10**4000], [1.0])
    with pytest.raises(InvalidInput, match="not a unit"):
        client.probe("sim", [f"units:{digits}"])


def test_times_that_are_none(raw, client):
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
    for seconds in (np.nan, np.inf, 1e300):
        with pytest.raises(InvalidInput, match="lease_duration"):
            study.ask(lease=seconds)
        with pytest.raises(InvalidInput, match="min_interval"):
            next(iter(study.watch(min_interval=seconds)))
    request = pb.WatchStudyRequest(name=f"studies/{study.id}", min_interval=Duration(seconds=2**62))
    call = raw.studies.WatchStudy(request, timeout=10)
    assert next(call).event.HasField("created")
    call.cancel()


def test_what_float32_cannot_hold_is_not_rendered(raw):
    latents = tensors.to_proto(np.full((1, 192), 1e300))
    request = catalog_pb.RenderRequest(generator="pixels", latents=latents)
    assert "finite" in refused(raw.catalog.Render, request).message
