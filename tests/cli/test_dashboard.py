"""`blackbox-am dashboard`: its options, its token, and its refusals."""

import signal
import stat
import sys

import httpx
import pytest
from typer.testing import CliRunner

from blackbox_am.cli import app
from blackbox_am.testing.gateway import GatewayProcess

runner = CliRunner()
NOWHERE = "127.0.0.1:9"


def refused(*options):
    result = runner.invoke(app, ["dashboard", "--server", NOWHERE, *options])
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def test_another_host_is_refused():
    assert "--insecure-host" in refused("--host", "0.0.0.0")


def test_a_token_over_plain_text_is_refused(tmp_path):
    (tmp_path / "token").write_text("secret-of-the-server\n")
    result = runner.invoke(
        app,
        ["dashboard", "--server", "far:1", "--token-file", str(tmp_path / "token")],
    )
    assert result.exit_code == 2
    assert "not encrypted" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize("option", ["--changes-token-file", "--token-file"])
def test_token_files_that_cannot_be_read(tmp_path, option):
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert "is empty" in refused("--allow-changes", option, str(empty))
    assert "cannot be read" in refused("--allow-changes", option, str(tmp_path))


def test_a_token_file_that_cannot_be_written(tmp_path):
    refused("--allow-changes", "--changes-token-file", str(tmp_path / "none" / "token"))


def test_certificates_that_are_none(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    assert "cannot read certificates" in refused("--tls-ca", str(tmp_path / "ca.pem"))


def test_a_missing_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("blackbox_am.gateway")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("blackbox_am.gateway", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'blackbox-am[dashboard]'" in refused()


@pytest.mark.slow
def test_a_token_file_is_made(tmp_path):
    """Only its owner can read it, and a second start has the same token."""
    file = tmp_path / "token"
    options = ("--allow-changes", "--changes-token-file", str(file))
    for _ in range(2):
        with GatewayProcess(tmp_path, NOWHERE, *options) as gateway:
            token = file.read_text().strip()
            headers = {"authorization": f"Bearer {token}"}
            path = f"{gateway.url}/api/studies/a:pause"
            assert httpx.post(path, headers=headers, timeout=30).status_code == 503  # no server
            assert httpx.post(path, timeout=30).status_code == 401
        assert token not in gateway.log.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token) >= 24


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(tmp_path, number):
    """Also with an open stream, and a token is printed once."""
    with GatewayProcess(tmp_path, NOWHERE, "--allow-changes") as gateway:
        url = f"{gateway.url}/api/events?studies=*list"
        with httpx.stream("GET", url, timeout=30) as reader:
            assert next(reader.iter_lines())
            gateway.process.send_signal(number)
            assert gateway.process.wait(20) == 0
    text = gateway.log.read_text()
    assert "token for changes: " in text
    assert "Traceback" not in text
    assert "ERROR" not in text
