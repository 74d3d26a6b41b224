"""Parameters, secrets and certificates of an inference server."""

import math
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    MissingExtra,
    OracleFailed,
    OracleUnavailable,
)
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.service.config import load_config
from tests.oracles.http_api import over_http
from tests.oracles.inference import InferenceOverHttp, over_grpc
from tests.oracles.inference_protocol.answers import UNITS, Of, X, expected, same


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
