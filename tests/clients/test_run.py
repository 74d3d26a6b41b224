"""Clients are built and tested, skipped with a reason, and required where CI says so."""

import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

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


def test_a_command_that_hangs_ends_with_its_children(folder, capsys, monkeypatch, tmp_path):
    child = tmp_path / "child"
    folder("slow", build=[f"setsid sleep 60 & echo $! > {child}; sleep 60"])
    monkeypatch.setitem(run.STEP_SECONDS, "build", 0.5)
    assert run.main(["slow"]) == 1
    assert "build: 'setsid sleep 60" in (shown := capsys.readouterr().out)
    assert "did not end within 0.5 s" in shown
    assert ended(int(child.read_text()))


def test_what_a_command_leaves_behind_is_ended(folder, tmp_path):
    child = tmp_path / "child"
    folder("left", build=[f"setsid sleep 60 & echo $! > {child}"])
    assert run.main(["left"]) == 0
    assert ended(int(child.read_text()))


def descendants(number):
    """The processes that a process and its children have started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == number:
                found.append(int(stat.parent.name))
    return [one for child in found for one in (child, *descendants(child))]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_sigterm_ends_the_servers_of_the_cases():
    command = [sys.executable, "-m", "clients.run", "python", "--step", "conformance"]
    process = subprocess.Popen(
        [*command, "--case", "watch_is_gap_free"], stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while len(started := descendants(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)  # a server and a driver
        process.terminate()
        shown = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert len(started) >= 2
    assert process.returncode == 128 + signal.SIGTERM
    assert "cases passed" not in shown
    assert all(ended(number) for number in started)


def test_a_check_that_hangs_is_a_reason(folder, monkeypatch):
    folder("asks", check="sleep 60")
    monkeypatch.setattr(toolchains, "CHECK_SECONDS", 0.2)
    assert "'sleep 60' did not end within 0.2 s" in toolchains.lacking(client_of("asks"), {})


def test_a_case_that_does_not_exist(capsys):
    assert run.main(["python", "--case", "watch_is_gapfree"]) == 1
    said = capsys.readouterr().err
    assert "no conformance case fits 'watch_is_gapfree'; did you mean 'watch_is_gap_free'" in said


def test_a_client_without_the_chosen_step_is_not_passed(folder, capsys, monkeypatch):
    folder("page", build=["true"])
    monkeypatch.setenv("CLIENTS_REQUIRED", "page")
    assert run.main(["page", "--step", "conformance"]) == 1
    assert "page         skipped: it has none of the steps conformance" in capsys.readouterr().out


def test_ci_requires_clients_that_exist():
    lines = (ROOT.parent / ".ci" / "run").read_text("utf-8").splitlines()
    required = next(line for line in lines if line.startswith("CLIENTS_REQUIRED"))
    assert set(required.split('"')[1].split()) <= set(languages())
    assert lines.index(".ci/toolchains") < lines.index("make test")


def ended(number):
    """Whether a process ends within a few seconds; a zombie has ended."""
    for _ in range(50):
        stat = Path(f"/proc/{number}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
