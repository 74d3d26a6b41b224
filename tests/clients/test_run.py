"""Clients are built and tested, skipped with a reason, and required where CI says so."""

import tomllib

import pytest

from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.rpc.api import VERSION
from clients import client_toml, run, toolchains
from clients.client_toml import ROOT, Client, client_of, languages
from clients.run import Report


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Clients of the test alone."""
    monkeypatch.setattr(client_toml, "ROOT", tmp_path)

    def write(language, **fields):
        (tmp_path / language).mkdir()
        lines = [f"{key} = {value!r}" for key, value in fields.items()]
        (tmp_path / language / "client.toml").write_text("\n".join(lines))

    return write


def test_clients_have_the_version_of_the_package():
    versions = tomllib.loads((ROOT / "versions.toml").read_text("utf-8"))
    assert versions["version"] == VERSION
    assert set(languages()) - {"dashboard"} <= versions.keys()


@pytest.mark.parametrize("language", languages())
def test_every_client_can_be_read(language):
    client = client_of(language)
    assert client.folder.is_dir()
    assert client.build
    assert client.test


def test_a_passing_and_a_failing_client(folder, capsys, monkeypatch):
    folder("good", build=["touch built"], test=["test -f built", "test -d $PROTOS"])
    folder("bad", build=["true"], test=["exit 3"])
    monkeypatch.setenv("CLIENTS_REQUIRED", "")
    assert run.main(["good", "bad"]) == 1
    shown = capsys.readouterr().out
    assert "good         passed" in shown
    assert "bad          FAILED: test: 'exit 3' ended with code 3" in shown


def test_what_is_missing_is_a_reason_to_skip(folder, capsys, monkeypatch):
    folder("far", needs=["no-such-compiler"], test=["false"])
    folder("far2", check="echo no package libfoo; exit 1", test=["false"])
    monkeypatch.setenv("CLIENTS_REQUIRED", "")
    assert run.main(["far", "far2"]) == 0
    shown = capsys.readouterr().out
    assert "far          skipped: the command no-such-compiler is not installed" in shown
    assert "far2         skipped: no package libfoo" in shown
    monkeypatch.setenv("CLIENTS_REQUIRED", "far elsewhere")
    assert run.main(["far"]) == 1
    shown = capsys.readouterr().out
    assert "far is required (CLIENTS_REQUIRED), but skipped: the command" in shown
    assert "elsewhere is required (CLIENTS_REQUIRED), but skipped: it was not run" in shown


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("sh", ""),
        ("python3>=3.1", ""),
        ("python3>=99.1", "99.1 or later is needed"),
        ("no-such", "not installed"),
        ("a b", "expected a command"),
    ],
)
def test_needs(need, reason):
    found = toolchains.lacking(Client(needs=(need,)), {})
    assert reason in found
    assert bool(found) == bool(reason)


def test_an_unknown_client_and_a_wrong_file(folder):
    folder("typed", build="make")
    with pytest.raises(InvalidSpec, match="build: expected a list"):
        client_of("typed")
    with pytest.raises(NotFound, match="did you mean 'typed'"):
        client_of("type")
    with pytest.raises(SystemExit):
        run.main(["type"])


def test_required_languages_pass():
    assert Report(passed=["a", "b"]).exit_code(["a"]) == 0
    assert Report(passed=["a"], failed={"b": "x"}).exit_code([]) == 1
    assert Report(skipped={"a": "x"}).exit_code([]) == 0
