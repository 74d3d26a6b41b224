"""Encrypted connections to an oracle: who is trusted, and what is said where nobody is."""

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.types import StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, OracleUnavailable, Unauthenticated
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import progress, tensors
from blackbox_am.service import Config, running
from blackbox_am.service.config import load_config
from blackbox_am.testing.certificates import Certificates
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer,
    add_OracleServiceServicer_to_server,
)

X = torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
UNITS = [Unit.parse("units:0")]
TOKEN = "t0p-s3cret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates `ours` and `theirs`, and signed by ours `server`, `old`, `else`, `client`."""
    place = tmp_path_factory.mktemp("certificates")
    made = Certificates(place)
    for name in ("ours", "theirs"):
        made.authority(name)
    made.signed("server", "ours")
    made.signed("old", "ours", days=-1)
    made.signed("else", "ours", host="elsewhere.example")
    made.signed("client", "ours")
    made.signed("stranger", "theirs")
    return place


class Guarded(OracleServiceServicer):
    """A simulated oracle that asks for a token, if it was given one."""

    def __init__(self, token: str = "") -> None:
        self._token = token

    def DescribeOracle(self, request, context):  # noqa: N802
        self._admit(context)
        return progress.oracle_to_proto("", Simulated().describe())

    def Observe(self, request, context):  # noqa: N802
        self._admit(context)
        stimuli = torch.tensor(tensors.from_proto(request.stimuli))
        answer = Simulated().observe(stimuli, [Unit.parse(unit) for unit in request.units])
        return pb.ObserveResponse(activations=tensors.to_proto(answer.numpy()))

    def _admit(self, context) -> None:
        shown = dict(context.invocation_metadata()).get("authorization", "nothing")
        if self._token and shown != f"Bearer {self._token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"no entry with {shown}")


@contextmanager
def served(credentials=None, token: str = "") -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_OracleServiceServicer_to_server(Guarded(token), server)
    if credentials is None:
        port = server.add_insecure_port("localhost:0")
    else:
        port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()


@pytest.fixture
def secure(folder: Path) -> Callable[..., object]:
    """`secure(name, clients=False)`: a server with that certificate."""

    def make(name: str = "server", clients: bool = False):
        pair = ((folder / f"{name}.key").read_bytes(), (folder / f"{name}.pem").read_bytes())
        roots = (folder / "ours.pem").read_bytes() if clients else None
        return served(grpc.ssl_server_credentials([pair], roots, clients))

    return make


@pytest.fixture
def files(folder: Path) -> dict[str, str]:
    """Parameters of a client that shows a certificate."""
    return {
        "ca_file": str(folder / "ours.pem"),
        "certificate_file": str(folder / "client.pem"),
        "key_file": str(folder / "client.key"),
    }


def observed(address: str, **parameters) -> torch.Tensor:
    oracle = Remote(address, timeout_seconds=10, **parameters)
    try:
        return oracle.observe(X, UNITS)
    finally:
        oracle.close()


def test_a_trusted_server(secure, files) -> None:
    with secure() as address:
        answer = observed(address, tls=True, ca_file=files["ca_file"])
    assert torch.equal(answer, Simulated().observe(X, UNITS))


def test_a_server_by_another_name(secure, files) -> None:
    with secure("else") as address:
        trusted = {"tls": True, "ca_file": files["ca_file"]}
        observed(address, **trusted, server_name="elsewhere.example")
        with pytest.raises(OracleUnavailable, match=r"for another name .* as server_name$"):
            observed(address, **trusted)


def test_a_server_that_asks_who_is_there(secure, files, folder) -> None:
    with secure(clients=True) as address:
        observed(address, tls=True, **files)
        with pytest.raises(OracleUnavailable, match="give certificate_file and key_file"):
            observed(address, tls=True, ca_file=files["ca_file"])
        stranger = {
            "certificate_file": str(folder / "stranger.pem"),
            "key_file": str(folder / "stranger.key"),
        }
        with pytest.raises(OracleUnavailable, match=r"does not trust .*stranger\.pem"):
            observed(address, tls=True, **{**files, **stranger})


TROUBLE = {
    "unknown authority": ("server", {"tls": True, "ca_file": "theirs.pem"}, "name that in ca_file"),
    "no authority": ("server", {"tls": True}, "name that in ca_file"),
    "out of date": (
        "old",
        {"tls": True, "ca_file": "ours.pem"},
        "out of date (certificate has expired); have it renewed",
    ),
    "plain to tls": ("server", {}, "set tls = true"),
    "tls to plain": ("", {"tls": True}, "does not speak TLS; set tls = false"),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_what_is_wrong_is_said_to_whoever_asks_for_a_study(case, secure, folder) -> None:
    name, parameters, says = TROUBLE[case]
    table = {"kind": "remote", "timeout_seconds": 10.0, **parameters}
    if "ca_file" in table:
        table["ca_file"] = str(folder / table["ca_file"])
    with secure(name) if name else served() as far:
        config = Config(
            address="localhost:0",
            store=":memory:",
            device="cpu",
            catalogue=Catalogue.from_plain(
                {
                    "oracles": {"far": {**table, "target": far}},
                    "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
                }
            ),
        )
        with running(config) as address, connect(address) as client:
            with pytest.raises(OracleUnavailable) as found:
                client.create(targets=["units:0"], generator="pixels", oracle="far")
            assert found.value.message.startswith(f"oracle at {far}: ")
            assert says in found.value.message
            (listed,) = client.oracles()
            assert says in listed.problem


def test_secrets_go_along_and_are_never_shown(secure, files, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("ORACLE_TOKEN", TOKEN)
    with served(token="another") as plain, pytest.raises(Unauthenticated) as found:
        observed(plain, headers={"Authorization": "Bearer ${ORACLE_TOKEN}"})
    assert found.value.message == "no entry with Bearer ***"
    assert found.value.__cause__ is None
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    pair = [(Path(files["ca_file"]).parent / f"server.{kind}") for kind in ("key", "pem")]
    credentials = grpc.ssl_server_credentials([tuple(path.read_bytes() for path in pair)])
    with served(credentials, TOKEN) as address:
        (tmp_path / "server.toml").write_text(
            f'[oracles.far]\nkind = "remote"\ntarget = "{address}"\ntls = true\n'
            f'ca_file = "{files["ca_file"]}"\n'
            f'headers = {{ authorization = "Bearer ${{file:{tmp_path}/token}}" }}\n'
            '[generators.pixels]\nkind = "pixels"\nshape = [3, 8, 8]\n'
        )
        config = load_config(tmp_path / "server.toml")
        oracle = config.catalogue.oracle("far")
        assert torch.equal(oracle.observe(X, UNITS), Simulated().observe(X, UNITS))
        found = repr(oracle.fingerprint())
        oracle.close()
        assert TOKEN not in repr(oracle) + found + caplog.text
        assert "token" not in found
    with pytest.raises(InvalidSpec, match="'NOT_SET' is not set"):
        observed("localhost:9", headers={"authorization": "${NOT_SET}"})


def test_a_study_through_an_encrypted_connection(secure, files) -> None:
    with secure(clients=True) as far:
        tables = {
            "oracles": {"far": {"kind": "remote", "target": far, "tls": True, **files}},
            "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
        }
        config = Config(
            address="localhost:0",
            store=":memory:",
            device="cpu",
            catalogue=Catalogue.from_plain(tables),
        )
        with running(config) as address, connect(address) as client:
            study = client.create(
                targets=["units:0"], generator="pixels", oracle="far", queries_per_target=60
            )
            assert study.wait(30).state is StudyState.SUCCEEDED


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"ca_file": "x"}, "ca_file: means nothing without TLS; set tls = true"),
        ({"server_name": "x"}, "server_name: means nothing without TLS"),
        ({"tls": True, "key_file": "x"}, "certificate_file: expected a file"),
        ({"tls": True, "certificate_file": "x"}, "key_file: expected a file"),
        ({"headers": {"grpc-x": "1"}}, "'grpc-x' can name no header"),
        ({"headers": {"key-bin": "1"}}, "'key-bin' can name no header"),
        ({"headers": {"a b": "1"}}, "'a b' can name no header"),
    ],
)
def test_parameters_are_checked(parameters, says) -> None:
    with pytest.raises(InvalidSpec, match=says):
        Remote("a:1", **parameters)


def test_files_are_checked(files, tmp_path, folder) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    for wrong in (str(garbage), "/no/such/file"):
        with pytest.raises(InvalidSpec, match="ca_file: cannot read certificates"):
            observed("localhost:9", tls=True, ca_file=wrong)
        with pytest.raises(InvalidSpec, match=r"certificate_file: .* are no certificate in PEM"):
            observed("localhost:9", tls=True, **{**files, "key_file": wrong})
    other = {**files, "key_file": str(folder / "server.key")}
    with pytest.raises(InvalidSpec, match=r"certificate_file: .* with its key"):
        observed("localhost:9", tls=True, **other)
