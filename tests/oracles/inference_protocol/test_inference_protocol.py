"""Models on a server of the Open Inference Protocol read what the network says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am.bench.problems import MEAN, STD, resnet20
from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
)
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.v1 import open_inference_pb2 as pb
from tests.oracles.inference_protocol.answers import UNITS, Of, X, expected, same

ASSETS = Path(__file__).parents[4] / "shared" / "assets"


def test_metadata_says_what_it_is(of: Of) -> None:
    info = of("net", labels=("cat", "dog", "owl", "bee")).describe()
    assert info.capabilities == FORWARD
    assert info.stimulus_shape == (3, 6, 6)
    assert info.batch_size == 3
    logits, maps = info.layers
    assert (logits.name, logits.shape, logits.axes) == ("logits", (4,), ("unit",))
    assert logits.labels == ("cat", "dog", "owl", "bee")
    assert (maps.name, maps.shape) == ("conv.maps", (4, 4, 4))
    assert maps.axes == ("unit", "height", "width")
    only = of("net", outputs=("logits",)).describe()
    assert [layer.name for layer in only.layers] == ["logits"]
    assert only.capabilities == Capability.SCORES | Capability.UNITS
    assert InferenceProtocol.billable


def test_answers_of_several_outputs_in_batches(of: Of, inference) -> None:
    oracle = of("net")
    with metering() as meter:
        same(oracle.observe(X, UNITS))
    assert [shape for _, shape, *_ in inference.seen] == [(3, 3, 6, 6), (2, 3, 6, 6)]
    assert meter.total == Accounting(calls=2, rows=5)
    oracle.observe(X[:1], UNITS[:1])
    assert inference.seen[-1][3] == ["logits"]
    oracle.close()
    same(oracle.observe(X, UNITS))
    empty = oracle.observe(X[:0], UNITS)
    assert empty.shape == (0, 4)
    assert oracle.observe(X, []).shape == (5, 0)


def test_requests_at_the_same_time(of: Of) -> None:
    oracle = of("slow", batch_size=1, parallel=3)
    with metering() as meter:
        same(oracle.observe(X[:3], UNITS), X[:3])
    assert meter.total == Accounting(calls=3, rows=3)


@pytest.mark.parametrize(
    ("model", "datatype"), [("pixels", "UINT8"), ("halves", "FP16"), ("doubles", "FP64")]
)
def test_inputs_of_each_datatype(of: Of, inference, model: str, datatype: str) -> None:
    answer = of(model).observe(X, UNITS)
    assert inference.seen[0][2] == datatype
    if model == "pixels":
        same(answer, (X * 255).round() / 255)
    else:
        torch.testing.assert_close(answer, expected(X), rtol=1e-2, atol=1e-3)


def test_normalisation_and_channels_last(of: Of, inference) -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    shift, scale = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in (mean, std))
    same(of("net", mean=mean, std=std).observe(X, UNITS), (X - shift) / scale)
    last = of("last", channels_last=True, outputs=("logits",))
    assert last.describe().stimulus_shape == (3, 6, 6)
    answer = last.observe(X, [Unit("logits", 3)])
    torch.testing.assert_close(answer, expected(X)[:, :1], rtol=1e-4, atol=1e-5)
    assert inference.seen[-1][1] == (2, 6, 6, 3)
    last = of("last", channels_last=True, stimulus_shape=(3, 6, 6))
    assert last.describe().layers[1].axes == ("height", "width", "unit")


def test_a_fixed_number_of_rows_is_filled_up(of: Of, inference) -> None:
    oracle = of("rows4")
    assert oracle.describe().batch_size == 4
    with metering() as meter:
        same(oracle.observe(X, UNITS))
    assert [shape[0] for _, shape, *_ in inference.seen] == [4, 4]
    assert meter.total.rows == 8


def test_a_model_without_rows_is_asked_one_by_one(of: Of, inference) -> None:
    same(of("single").observe(X, UNITS))
    assert {shape for _, shape, *_ in inference.seen} == {(3, 6, 6)}


def test_shapes_that_the_server_leaves_open_are_asked_for(of: Of, inference) -> None:
    oracle = of("loose")
    assert [layer.shape for layer in oracle.describe().layers] == [(4,), (4, 4, 4)]
    assert [shape[0] for _, shape, *_ in inference.seen] == [1]
    same(oracle.observe(X, UNITS))


def test_a_server_that_says_nothing_is_told(of: Of, inference) -> None:
    with pytest.raises(InvalidSpec, match=r"says nothing .*; give input, stimulus_shape"):
        of("silent").describe()
    same(of("silent", input="images", stimulus_shape=(3, 6, 6)).observe(X, UNITS))
    inference.extensions.clear()
    told = of("silent", input="images", stimulus_shape=(3, 6, 6), datatype="UINT8")
    assert told.describe().batch_size == 64


def test_batches_fit_into_a_message(of: Of, inference, protocol: str) -> None:
    inference.extensions.remove("model_configuration")
    assert of("net").describe().batch_size == 64
    large = of("silent", input="images", stimulus_shape=(3, 6, 6), batch_size=200)
    assert large.describe().batch_size == 200
    inference.extensions.append("model_configuration")
    with pytest.raises(InvalidSpec, match="takes 3 rows in a request at most, got 4"):
        of("net", batch_size=4).describe()


def test_a_gateway_that_knows_of_models_alone(of: Of, inference) -> None:
    inference.extensions = None
    oracle = of("net")
    assert oracle.describe().batch_size == 64
    same(oracle.observe(X, UNITS))


def test_large_stimuli_fill_no_message_over_grpc() -> None:
    from blackbox_am.oracles.inference_protocol._model import Input

    for shape, rows in (((3, 224, 224), 6), ((3, 2000, 2000), 1)):
        taken = Input("x", "FP32", shape, None, has_rows=True)
        assert InferenceProtocol("host:1", "m")._rows(taken, None) == rows
    assert InferenceProtocol("host:1", "m", protocol="http")._rows(taken, None) == 64


def test_numbers_instead_of_bytes(of: Of, inference) -> None:
    same(of("numbers").observe(X, UNITS))
    same(of("wider").observe(X, UNITS))
    # One of its outputs is FP64: all columns of the answer are then float64.
    assert of("wider").observe(X, UNITS).dtype == torch.float64
    assert of("numbers").observe(X, UNITS).dtype == torch.float32


def test_json_where_a_server_takes_no_bytes(inference_over_http: str, inference) -> None:
    inference.extensions.remove("binary_tensor_data")
    oracle = InferenceProtocol(inference_over_http, "net", protocol="http")
    same(oracle.observe(X, UNITS))
    assert inference.seen[-1][4]["Content-Type"] == "application/json"
    told = InferenceProtocol(inference_over_http, "net", protocol="http", binary=True)
    same(told.observe(X, UNITS))
    assert inference.seen[-1][4]["Content-Type"] == "application/octet-stream"
    oracle.close()
    told.close()


def test_nan_is_data(of: Of) -> None:
    answer = of("nan").observe(X[:3], UNITS)
    assert answer[0, [0, 2]].isnan().all()
    assert answer[1:].isfinite().all()


def test_outputs_of_texts_are_left_out(of: Of) -> None:
    assert len(of("words_too").describe().layers) == 2
    with pytest.raises(InvalidSpec, match="outputs: 'label' is BYTES, and no numbers"):
        of("words_too", outputs=("label",)).describe()


@pytest.mark.slow
def test_resnet20_of_the_assets(of: Of, inference) -> None:
    if not (ASSETS / "cifar10_resnet20.safetensors").is_file():
        pytest.skip(f"needs cifar10_resnet20.safetensors, which is not in {ASSETS}")
    inference.classifier = resnet20(ASSETS).model.eval()
    inference.extensions.remove("model_configuration")
    oracle = of("resnet", mean=MEAN, std=STD)
    data = np.load(ASSETS / "cifar10_test_1000.npz")
    images = torch.from_numpy(data["x"]).permute(0, 3, 1, 2).float() / 255
    scores = oracle.observe(images, [Unit("scores", i) for i in range(10)])
    assert (scores.argmax(1).numpy() == data["y"]).sum() == 912
    assert len(inference.seen) == 16


def test_the_messages_on_the_wire_are_the_protocols() -> None:
    request = pb.InferenceRequest(
        model_name="m", model_version="1", outputs=[{"name": "y"}], raw_input_contents=[b"\0\1"]
    )
    request.inputs.add(name="x", datatype="UINT8", shape=[2])
    inputs = b"\x0a\x01x\x12\x05UINT8\x1a\x01\x02"
    assert request.SerializeToString() == (
        b"\x0a\x01m" b"\x12\x011" + b"\x2a" + bytes([len(inputs)]) + inputs
        + b"\x32\x03\x0a\x01y" + b"\x3a\x02\0\1"
    )  # fmt: skip
    outputs = b"\x0a\x01y\x12\x04FP32\x1a\x01\x01"
    answer = pb.InferenceResponse.FromString(
        b"\x0a\x01m" + b"\x2a" + bytes([len(outputs)]) + outputs + b"\x32\x04\0\0\x80\x3f"
    )
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("FP32", [1])
    assert np.frombuffer(answer.raw_output_contents[0], "<f4") == 1
    assert all(name.startswith("blackbox_am.") for name in (pb.DESCRIPTOR.package,))
