"""A server with TLS and tokens: the gateway sends its own, and its role limits what can be done."""

import shutil
import subprocess
import sys

import httpx
import pytest

from blackbox_am.errors import InvalidInput
from blackbox_am.gateway import Settings
from blackbox_am.testing.gateway import GatewayProcess
from blackbox_am.testing.server import ServerProcess
from tests.gateway.conftest import TOKEN, TOML, WRITES
from tests.gateway.reading import Reader

SPEC = {
    "targets": ["units:0"],
    "generator": "pixels",
    "oracle": "sim",
    "budget": {"queries_per_target": 100},
}


def test_a_token_is_not_sent_over_plain_text():
    with pytest.raises(InvalidInput, match="not encrypted"):
        Settings("far.example:50051", server_token="secret")
    assert Settings("localhost:50051", server_token="secret").server_token == "secret"


def made(folder, role):
    command = [sys.executable, "-m", "blackbox_am.cli", "token", "create", role]
    command += ["--role", role, "--store", str(folder / "studies.sqlite3")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    file = folder / role
    file.write_text(done.stdout.split()[-1])
    return ("--token-file", str(file))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_roles(tmp_path):
    files = f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
    config = TOML.replace("[server]\n", "[server]\n" + files)
    (tmp_path / "models.toml").write_text(config)
    (tmp_path / "changes").write_text(TOKEN)
    changes = ("--allow-changes", "--changes-token-file", str(tmp_path / "changes"))
    reader, runner = made(tmp_path, "reader"), made(tmp_path, "runner")
    with Secured(tmp_path) as server:
        address, safe = server.address, ("--tls-ca", str(server.certificate))
        body = {"study_id": "mine", "spec": SPEC}
        with GatewayProcess(tmp_path, address, *safe, *runner, *changes) as gateway:
            url = f"{gateway.url}/api/studies"
            answer = httpx.post(url, json=body, headers=WRITES, timeout=30)
            assert answer.status_code == 201, answer.text
            with Reader(gateway.url, "mine") as stream:
                stream.until(lambda r: r.of("study")[-1:] and r.of("study")[-1]["best_score"])
        with GatewayProcess(tmp_path, address, *safe, *reader, *changes) as gateway:
            url = f"{gateway.url}/api/studies"
            body["study_id"] = "other"
            answer = httpx.post(url, json=body, headers=WRITES, timeout=30)
            assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "FORBIDDEN")
            assert httpx.get(url, timeout=30).status_code == 200
        for options, why in ((safe, "wants a token"), ((), "expects TLS")):
            with GatewayProcess(tmp_path, address, *options) as gateway:
                found = httpx.get(f"{gateway.url}/api/server", timeout=30).json()
                assert not found["connected"]
                assert why in found["message"]
                with Reader(gateway.url, "mine") as stream:
                    stream.until(lambda r: r.of("server"))
                    assert why in stream.of("server")[0]["message"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_server_that_asks_for_the_certificate_of_its_clients(tmp_path):
    (tmp_path / "client").mkdir()
    certify(tmp_path / "client")
    certificate, key = (str(tmp_path / "client" / name) for name in ("cert.pem", "key.pem"))
    files = f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
    files += f'tls_client_ca = "{certificate}"\n'
    (tmp_path / "models.toml").write_text(TOML.replace("[server]\n", "[server]\n" + files))
    made(tmp_path, "runner")
    token = ("--token-file", str(tmp_path / "runner"))
    with Secured(tmp_path) as server:
        safe = ("--tls-ca", str(server.certificate), *token)
        mutual = (*safe, "--tls-certificate", certificate, "--tls-key", key)
        for options, known in ((mutual, True), (safe, False)):
            with GatewayProcess(tmp_path, server.address, *options) as gateway:
                found = httpx.get(f"{gateway.url}/api/server", timeout=30).json()
                assert found["connected"] is known, found["message"]
                with Reader(gateway.url, "*list") as stream:
                    kind = "listing" if known else "server"
                    stream.until(lambda r, kind=kind: r.of(kind))
        assert "expects a certificate of its client" in stream.of("server")[0]["message"]


def certify(folder):
    """Writes a key and a certificate for localhost."""
    make = [shutil.which("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    make += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=DNS:localhost"]
    make += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(make, check=True, capture_output=True, timeout=60)


class Secured(ServerProcess):
    """A server with TLS and the tokens of its store."""

    def __init__(self, folder):
        super().__init__(folder, folder / "models.toml", address="localhost:0")
        self.certificate = folder / "cert.pem"
        certify(folder)
