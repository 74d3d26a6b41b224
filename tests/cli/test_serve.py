from __future__ import annotations

import json
import signal
import socket
import time

import pytest

from blackbox_am.client import connect


def _address(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text().strip()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_server_runs_until_a_signal(spawn, config, tmp_path, number):
    ready, store = tmp_path / "address", tmp_path / "studies.sqlite3"
    options = ["--address", "127.0.0.1:0", "--store", store, "--ready-file", ready]
    process = spawn("serve", "--config", config, *options)
    with connect(_address(ready, process)) as client:
        assert [oracle.name for oracle in client.oracles()] == ["priced", "slow", "toy"]
        study = client.create(
            targets=["units:0"], oracle="slow", generator="pixels", queries_per_target=4000
        )
        while study.progress().search_rows == 0:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "listening on 127.0.0.1:" in said
    assert "stopped; running studies continue" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_running_studies_continue_at_the_next_start(spawn, config, tmp_path):
    store = tmp_path / "studies.sqlite3"
    rows = []
    for start in range(2):
        ready = tmp_path / f"address-{start}"
        options = ["--address", "127.0.0.1:0", "--store", store, "--ready-file", ready]
        process = spawn("serve", "--config", config, *options)
        with connect(_address(ready, process)) as client:
            study = client.create(
                targets=["units:0"],
                oracle="slow",
                generator="pixels",
                queries_per_target=4000,
                study_id="long",
            )
            before = rows[-1] if rows else 0
            deadline = time.monotonic() + 30
            while study.progress().search_rows <= before:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            rows.append(study.progress().search_rows)
        process.terminate()
        assert process.wait(30) == 0
    assert rows[1] > rows[0] > 0


def test_a_port_in_use_is_reported_in_one_line(spawn, config, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = spawn(
            "serve", "--config", config, "--address", f"127.0.0.1:{port}",
            "--store", tmp_path / "s.sqlite3",
        )  # fmt: skip
        _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert said.startswith(f"error: cannot listen on 127.0.0.1:{port}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nadress = 'x:1'\n", "did you mean 'address'"),
        ("[server\n", "not valid TOML"),
        ("[oracles.x]\nkind = 'simulatd'\n", "did you mean 'simulated'"),
        ("[server]\nworkers = 0\n", "workers"),
    ],
)
def test_a_wrong_configuration_exits_with_2_and_names_the_file(cli, tmp_path, text, words):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    result = cli("serve", "--config", path)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "wrong.toml" in result.stderr


def test_a_missing_configuration_exits_with_3(cli, tmp_path):
    assert cli("serve", "--config", tmp_path / "none.toml").exit_code == 3


LATE = """
[oracles.late]
kind = "simulated"
latency_seconds = 0.2
[[oracles.late.wrap]]
kind = "timeout"
seconds = 0.01
"""


def test_a_log_for_programs_has_nothing_but_objects(spawn, config, tmp_path):
    config.write_text(config.read_text() + LATE)
    ready, store = tmp_path / "address", tmp_path / "studies.sqlite3"
    options = ["--address", "127.0.0.1:0", "--store", store, "--ready-file", ready]
    process = spawn("serve", "--config", config, *options, "--log-format", "json")
    with connect(_address(ready, process)) as client:
        study = client.create(targets=["units:0"], oracle="late", generator="pixels")
        deadline = time.monotonic() + 60
        while not study.progress().message:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    process.terminate()
    _, said = process.communicate(timeout=30)
    lines = [json.loads(line) for line in said.splitlines()]
    assert {"timestamp", "level", "logger", "event"} <= lines[0].keys()
    about = [line for line in lines if line.get("study") == study.id]
    assert about, said
    assert about[0]["oracle"] == "late"
    assert "trying again" in about[0]["event"]


def test_an_unknown_form_of_the_log_is_refused(cli):
    refused = cli("serve", "--log-format", "xml")
    assert refused.exit_code == 2
    assert "expected console or json, got 'xml'" in refused.stderr
