import math
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.bench.problems import MEAN, STD, resnet20
from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    BlackboxError,
    InvalidSpec,
    MessageTooLarge,
    MissingExtra,
    NotFound,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
)
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.oracles.inference_protocol._protocol import Addressee
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from blackbox_am.service.config import load_config
from blackbox_am.v1 import open_inference_pb2 as pb
from tests.oracles.http_api import over_http
from tests.oracles.inference import InferenceOverHttp, over_grpc

Of = Callable[..., InferenceProtocol]

X = torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))
UNITS = [Unit("logits", 3), Unit("conv.maps", 2, (1, 3)), Unit("logits", 0), Unit("conv.maps", 1)]
ASSETS = Path(__file__).parents[3] / "shared" / "assets"


@pytest.fixture(params=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def of(protocol: str, request: pytest.FixtureRequest) -> Iterator[Of]:
    """`of(model, **parameters)`: an oracle on the test server."""
    address = request.getfixturevalue(f"inference_over_{protocol}")
    opened = []

    def make(model: str, **more: object) -> InferenceProtocol:
        opened.append(InferenceProtocol(address, model, **{"protocol": protocol, **more}))
        return opened[-1]

    yield make
    for oracle in opened:
        oracle.close()


def expected(stimuli: torch.Tensor) -> torch.Tensor:
    """(N, U) of what the server's network says of `UNITS`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))
    with torch.no_grad():
        maps = net[:2](stimuli)
        logits = net[2:](maps)
    columns = (logits[:, 3], maps[:, 2, 1, 3], logits[:, 0], maps[:, 1].mean((1, 2)))
    return torch.stack(columns, 1)


def same(answer: torch.Tensor, stimuli: torch.Tensor = X) -> None:
    torch.testing.assert_close(answer.float(), expected(stimuli), rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize(
    ("model", "parameters", "message"),
    [
        ("net", {"input": "image"}, "has no 'image'; did you mean 'images'"),
        ("net", {"outputs": ("logit",)}, "has no 'logit'; did you mean 'logits'"),
        ("silent", {"input": "x", "stimulus_shape": (3, 6, 6), "outputs": ("y",)}, "no 'y'"),
        ("two", {}, "takes 'images', 'masks'; name the one"),
        ("net", {"stimulus_shape": (3, 7, 7)}, r"shape \(any, 3, 6, 6\), rows first; got \(3, 7"),
        ("words", {}, "takes BYTES; expected one of FP32"),
        ("net", {"labels": ("a", "b")}, "labels: no output has 2 units"),
        ("net", {"mean": (0.1, 0.2)}, "mean: expected 1 or 3 numbers"),
        ("pixels", {"mean": (0.1,)}, "leave mean and std out"),
    ],
)
def test_parameters_that_do_not_fit_the_model(
    of: Of, model: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        of(model, **parameters).describe()


@pytest.mark.parametrize(
    ("model", "error", "message", "wait"),
    [
        ("busy", OracleUnavailable, "trouble", 7),
        ("limited", OracleUnavailable, "come back in 7 s", 7),
        ("full", (OutOfMemory, MessageTooLarge), "give the oracle a smaller batch_size", None),
        ("away", OracleUnavailable, "trouble", None),
        ("broken", OracleFailed, "trouble", None),
        ("denied", OracleFailed, "see whether the headers hold the right secret", None),
        ("slow", OracleTimeout, r"did not answer within 0\.4 s", None),
        ("row_short", OracleFailed, r"'logits': expected shape \(3, 4\), .* got \(2, 4\)", None),
        ("other_shape", OracleFailed, r"expected shape \(3, 4\), .* got \(3, 3\)", None),
        ("other_name", OracleFailed, "no numbers for the output 'logits'; did you mean", None),
        ("short", OracleFailed, "bytes, got", None),
        ("lacking", OracleFailed, "2 outputs and the bytes of 3|came without data", None),
        ("garbage", OracleFailed, "deserializing|expected a JSON object", None),
        ("huge", OracleFailed, "more than 5000 bytes; raise max_answer_bytes", None),
    ],
)
def test_answers_that_are_none(
    of: Of, model: str, error: type[BlackboxError], message: str, wait: float | None
) -> None:
    oracle = of(model, timeout_seconds=0.4 if model == "slow" else 30, max_answer_bytes=5000)
    with pytest.raises(error, match=message) as found, metering() as meter:
        oracle.observe(X[:3], UNITS)
    assert str(found.value).startswith(f"the model {model!r} at 127.0.0.1:")
    assert found.value.retry_after == wait
    assert meter.total == Accounting(calls=1, rows=3)


def test_models_that_are_not_there(of: Of, inference, protocol: str) -> None:
    for status in inference.UNKNOWN:
        inference.says_unknown = status
        with pytest.raises(NotFound) as found:
            of("nothing").describe()
        assert str(found.value).startswith("the model 'nothing' at 127.0.0.1:")
        assert "it has no model 'nothing': it answered" in str(found.value)
        assert "give the name of a model that it serves" in str(found.value)
    with pytest.raises(NotFound, match="no model 'nothing' in version '2'"):
        of("nothing", version="2").describe()
    oracle = of("net")
    oracle.describe()
    inference.gone = True
    with pytest.raises(NotFound, match="it has no model 'net'"), metering() as meter:
        oracle.observe(X[:3], UNITS)
    assert meter.total == Accounting(calls=1, rows=3)


def test_models_that_are_there_and_in_trouble(of: Of, inference) -> None:
    with pytest.raises(OracleUnavailable, match=r"has the model, which is not ready|answered 503"):
        of("unready").describe()
    with pytest.raises(OracleFailed, match="secret"):
        of("refused").describe()


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ("Request for unknown model: 'cat.v2' is not found", True),
        ("Request for unknown model: 'cat.v2' version 7 is not found", True),
        ("Model cat.v2 with version  not found", True),
        ("Unexpected <class 'mlserver.errors.ModelNotFound'>: Model cat.v2 not found", True),
        ("Model with name cat.v2 does not exist.", True),
        ("model cat.v2 is missing", True),
        ("Model not found: cat.v2", True),
        ("no such model", True),
        ("Model version not ready", False),
        ("Model catxv2 not found", False),  # another than was asked for
        ("in model 'cat.v2': the file weights.bin not found", False),
        ("unexpected inference output 'scores' for model 'cat.v2'", False),
        ("input 'x' of model 'cat.v2' not found among the request's", False),
        ("the server is in trouble", False),
    ],
)
def test_words_for_an_unknown_model(said: str, *, unknown: bool) -> None:
    assert Addressee("cat.v2", "", 1.0, 1).is_unknown(said) is unknown


def test_metadata_that_is_none(inference_over_http: str) -> None:
    oracle = InferenceProtocol(inference_over_http, "odd", protocol="http")
    with pytest.raises(OracleFailed, match="expected a tensor with name, datatype and shape"):
        oracle.describe()
    oracle.close()


def test_redirects_to_another_host_are_refused(inference_over_http: str) -> None:
    oracle = InferenceProtocol(inference_over_http, "elsewhere", protocol="http")
    with pytest.raises(OracleFailed, match=r"another host, http://other\.example/scores, which is"):
        oracle.observe(X, UNITS)
    oracle.close()


def test_nobody_listens(protocol: str) -> None:
    oracle = InferenceProtocol("127.0.0.1:9", "net", protocol=protocol)
    with pytest.raises(OracleUnavailable, match="see whether it runs"), metering() as meter:
        oracle.observe(X, UNITS)
    assert meter.total == Accounting()
    oracle.close()


def test_a_server_that_went_away_was_asked_nothing(
    of: Of, protocol: str, request: pytest.FixtureRequest
) -> None:
    oracle = of("net")
    oracle.describe()
    gone = InferenceProtocol("127.0.0.1:9", "net", protocol=protocol)
    vars(gone)["_known"] = vars(oracle)["_known"]
    with pytest.raises(OracleUnavailable), metering() as meter:
        gone.observe(X[:2], UNITS)
    assert meter.total == Accounting()
    gone.close()


def test_messages_that_are_too_large_are_halved(inference) -> None:
    with over_grpc(inference, max_receive_message_length=1200) as port:
        oracle = InferenceProtocol(f"127.0.0.1:{port}", "net")
        with pytest.raises(MessageTooLarge, match="give the oracle a smaller batch_size"):
            oracle.observe(X[:3], UNITS)
        with metering() as meter:
            same(Halving(oracle).observe(X, UNITS))
        oracle.close()
    assert max(shape[0] for _, shape, *_ in inference.seen) == 2
    assert meter.total.rows == 5


def test_secrets_stand_nowhere_but_in_the_request(
    of: Of, inference, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setenv("TEST_TOKEN", "sk-very-secret")
    headers = {"Authorization": "Bearer ${TEST_TOKEN}"}
    oracle = of("net", headers=headers)
    oracle.observe(X[:1], UNITS)
    name = "authorization" if protocol == "grpc" else "Authorization"
    assert inference.seen[0][4][name] == "Bearer sk-very-secret"
    with pytest.raises(OracleFailed, match=r"Bearer \*\*\*") as found:
        of("denied", headers=headers).observe(X[:1], UNITS)
    assert found.value.__suppress_context__
    assert "sk-" not in repr(oracle) + str(found.value) + str(oracle.describe())
    assert "TEST_TOKEN" not in repr(oracle)
    with pytest.raises(InvalidSpec, match="'NO_SUCH_TOKEN' is not set"):
        of("net", headers={"Authorization": "${NO_SUCH_TOKEN}"}).describe()


@pytest.fixture
def secure_inference(
    secure_api: tuple[str, Path], inference, tmp_path: Path, protocol: str
) -> Iterator[tuple[str, Path]]:
    """The address of the test server behind TLS, and its certificate."""
    certificate, key = secure_api[1], tmp_path / "key.pem"
    if protocol == "grpc":
        pair = (key.read_bytes(), certificate.read_bytes())
        serving = over_grpc(inference, grpc.ssl_server_credentials([pair]))
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        InferenceOverHttp.models = inference
        serving = over_http(InferenceOverHttp, context)
    with serving as port:
        yield f"localhost:{port}", certificate


def test_tls(secure_inference: tuple[str, Path], protocol: str) -> None:
    target, certificate = secure_inference
    oracle = InferenceProtocol(target, "net", protocol=protocol, tls=True)
    with pytest.raises(OracleUnavailable, match=r"not trusted .*ca_file"):
        oracle.describe()
    oracle.close()
    oracle = InferenceProtocol(target, "net", protocol=protocol, tls=True, ca_file=str(certificate))
    same(oracle.observe(X, UNITS))
    oracle.close()
    oracle = InferenceProtocol(target, "net", protocol=protocol, timeout_seconds=5)
    with pytest.raises((OracleUnavailable, OracleFailed)):
        oracle.describe()
    oracle.close()
    oracle = InferenceProtocol(target, "net", protocol=protocol, tls=True, ca_file="/no/such")
    with pytest.raises(InvalidSpec, match="ca_file: cannot read certificates"):
        oracle.describe()


def test_missing_extras_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"httpx.*blackbox-am\[http\]"):
        InferenceProtocol("127.0.0.1:9", "net", protocol="http").describe()


def test_an_operator_writes_it_in_the_configuration(
    inference_over_grpc: str, tmp_path: Path
) -> None:
    (tmp_path / "server.toml").write_text(
        f'[oracles.net]\nkind = "inference_protocol"\ntarget = "{inference_over_grpc}"\n'
        'model = "net"\noutputs = ["logits"]\nparameters = { priority = 1, trace = true }\n'
        "mean = [0.5]\nstd = [0.25]\n"
    )
    oracle = load_config(tmp_path / "server.toml").catalogue.oracle("net")
    answer = oracle.observe(X, [Unit("logits", 3)])
    torch.testing.assert_close(answer, expected((X - 0.5) / 0.25)[:, :1], rtol=1e-4, atol=1e-4)
    oracle.close()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": ""}, "target: expected host:port"),
        ({"target": "host"}, "target: expected host:port"),
        ({"target": "https://host:1"}, "target: .* set tls = true"),
        ({"target": "host:1/path"}, "target: expected host:port"),
        ({"target": "host:99999"}, "target: expected host:port"),
        ({"target": "me:pass@host:1"}, "must have no secret"),
        ({"model": ""}, "model: expected its name"),
        ({"protocol": "rest"}, "'rest'"),
        ({"datatype": "FP23"}, "datatype: .*'FP32'"),
        ({"batch_size": 0}, "batch_size"),
        ({"parallel": 0}, "parallel"),
        ({"timeout_seconds": math.inf}, "timeout_seconds"),
        ({"max_answer_bytes": 2**31}, "less than 2 GiB"),
        ({"ca_file": "x.pem"}, "ca_file: means nothing without TLS"),
        ({"stimulus_shape": (0, 6)}, "stimulus_shape"),
        (
            {"protocol": "http", "tls": True, "certificate_file": "a", "key_file": "b"},
            "certificate_file: means nothing over http",
        ),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build(
            "inference_protocol", {"target": "host:1", "model": "net", **parameters}
        )


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
