"""Servers and models that fail, are missing, or answer something else."""

import pytest

from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.errors import (
    BlackboxError,
    MessageTooLarge,
    NotFound,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
)
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.oracles.inference_protocol._protocol import Addressee
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from tests.oracles.inference import over_grpc
from tests.oracles.inference_protocol.answers import UNITS, Of, X, same


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
