"""Tokens on the command line: made once, listed, revoked, used from a file or the environment."""

import json

import pytest

from blackbox_am.cli.connecting import Access
from blackbox_am.client import Tls
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.service import Config, running
from blackbox_am.service.auth.transport import ServerTls
from blackbox_am.service.config import load_config
from blackbox_am.testing.certificates import Certificates


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("BLACKBOX_AM_TOKEN", raising=False)
    made = Certificates(tmp_path)
    made.authority("ca")
    made.signed("server", "ca")
    return tmp_path


def test_a_token_is_made_used_and_revoked(cli, place, config, monkeypatch):
    store = ("--store", place / "s.sqlite3")
    made = cli("token", "create", "ann", "--role", "runner", "--expires", "30d", *store)
    token = made.stdout.strip()
    assert token.startswith("bam_")
    assert "printed only now" in made.stderr
    (listed,) = json.loads(cli("token", "list", "--json", *store).stdout)
    assert (listed["principal"], listed["role"], listed["state"]) == ("ann", "runner", "valid")
    assert token not in cli("token", "list", *store).stdout
    (place / "token").write_text(token + "\n")
    served = Config(
        address="localhost:0",
        store=str(place / "s.sqlite3"),
        device="cpu",
        catalogue=load_config(config).catalogue,
        tls=ServerTls(str(place / "server.pem"), str(place / "server.key")),
    )
    with running(served) as address:
        there = ("--server", address, "--tls-ca", place / "ca.pem")
        assert cli("study", "list", *there).exit_code == 7
        mine = (*there, "--token-file", place / "token")
        clients = ("-t", "u:0", "--generator", "pixels", "--id", "edges")
        assert cli("study", "create", *clients, *mine).stdout.strip() == "edges"
        assert "edges" in cli("study", "list", *mine).stdout
        assert "pixels" in cli("catalog", "generators", *mine).stdout
        shown = cli("study", "show", "edges", "--json", *mine).stdout
        assert token.split("_", 2)[2] not in shown
        monkeypatch.setenv("BLACKBOX_AM_TOKEN", token)
        assert "edges" in cli("study", "list", *there).stdout
        revoked = cli("token", "revoke", listed["token"], *store)
        assert revoked.stdout.strip() == f"revoked {listed['token']}"
    assert cli("token", "revoke", listed["token"], *store).exit_code == 3
    (listed,) = json.loads(cli("token", "list", "--json", *store).stdout)
    assert listed["state"] == "revoked"


@pytest.mark.parametrize(
    "arguments", [("Ann",), ("ann", "--role", "king"), ("ann", "--expires", "soon")]
)
def test_what_is_no_token_is_refused(cli, place, arguments):
    assert cli("token", "create", *arguments, "--store", place / "s.sqlite3").exit_code == 2


def test_serve_refuses_strangers(cli, place):
    found = cli("serve", "--address", "0.0.0.0:0", "--store", place / "s.sqlite3")
    assert found.exit_code == 2
    assert "no encryption" in found.stderr
    assert "no tokens" in found.stderr


def test_options_become_settings(place, monkeypatch):
    ca, token = place / "ca.pem", place / "token"
    assert Access().encryption is None
    assert Access(tls=True).encryption == Tls()
    assert Access(tls_ca=ca).encryption == Tls(str(ca))
    with pytest.raises(InvalidInput, match="means nothing without TLS"):
        _ = Access(tls_server_name="x").encryption
    with pytest.raises(InvalidSpec, match="go together"):
        _ = Access(tls_key=ca).encryption
    with pytest.raises(InvalidInput, match="cannot be read"):
        _ = Access(token_file=token).token
    token.write_text("\n")
    with pytest.raises(InvalidInput, match="is empty"):
        _ = Access(token_file=token).token
    token.write_text("from-file\n")
    monkeypatch.setenv("BLACKBOX_AM_TOKEN", "from-environment")
    assert Access().token == "from-environment"
    assert Access(token_file=token).token == "from-file"
    fields = Access(token_file=token, tls_ca=ca).of_oracle()
    assert fields["headers"] == {"authorization": f"Bearer ${{file:{token}}}"}
    assert fields["ca_file"] == str(ca)
    assert Access().of_oracle()["headers"] == {"authorization": "Bearer ${BLACKBOX_AM_TOKEN}"}
