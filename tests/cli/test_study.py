from __future__ import annotations

import itertools
import signal
import time

import numpy as np
import pytest
from PIL import Image

_numbers = itertools.count()


@pytest.fixture
def name():
    """A study id that is unique to the test."""
    return f"study-{next(_numbers)}"


@pytest.fixture
def call(cli, server):
    def run(*arguments, **options):
        return cli("study", *arguments, "--server", server, **options)

    return run


@pytest.fixture
def ask(from_json, server):
    def run(*arguments):
        return from_json("study", *arguments, "--server", server)

    return run


def _create(call, name, *more, oracle="toy", queries=30):
    arguments = ["--id", name, "--oracle", oracle, "--generator", "pixels", "-q", queries]
    result = call("create", "-t", "units:1", "-t", "units:4", *arguments, *more)
    assert result.exit_code == 0, result.stderr
    return result


def _wait(ask, name, *states):
    deadline = time.monotonic() + 30
    while (found := ask("show", name))["state"] not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_create_prints_the_id_and_the_study_runs(call, ask, name):
    assert _create(call, name).stdout == f"{name}\n"
    found = _wait(ask, name, "succeeded")
    assert found["stop_reason"] == "budget"
    assert found["queries"] == 60
    assert [target["title"] for target in found["targets"]] == ["units:1", "units:4"]


def test_transforms_reach_the_server(call, ask, name):
    _create(call, name, "--transform", "jitter,amount=.2", "--copies", 3)
    _wait(ask, name, "succeeded")
    assert ask("show", name)["oracle"]["rows"] >= 3 * 60
    result = call(
        "create",
        "-t",
        "units:1",
        "--oracle",
        "toy",
        "--generator",
        "pixels",
        "--transform",
        "jiter",
    )
    assert result.exit_code == 2
    assert "did you mean 'jitter'" in result.stderr


def test_penalties_reach_the_server(call, ask, name):
    _create(call, name, "--penalty", "stimulus.tv=0.5")
    titles = [target["title"] for target in ask("show", name)["targets"]]
    assert titles == ["units:1 - 0.5*stimulus.tv", "units:4 - 0.5*stimulus.tv"]


def test_create_with_json_prints_the_id(ask):
    found = ask("create", "-t", "units:0", "--oracle", "toy", "--generator", "pixels", "-q", 5)
    assert ask("show", found["study_id"])["queries_per_target"] == 5


def test_repeated_create_returns_the_study_and_another_request_is_a_conflict(call, name):
    _create(call, name)
    assert _create(call, name).stdout == f"{name}\n"
    result = call(
        "create", "-t", "units:1", "--id", name, "--oracle", "toy", "--generator", "pixels"
    )
    assert result.exit_code == 3
    assert "another specification" in result.stderr


def test_a_dry_run_creates_nothing(call, ask, name):
    result = _create(call, name, "--dry-run")
    assert result.stdout == ""
    assert "nothing was created" in result.stderr
    assert name not in [study["study_id"] for study in ask("list")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-t", "units:9", "--oracle", "toy"], 2, "units 0 to 5"),
        (["-t", "unit:1", "--oracle", "toy"], 2, "did you mean 'units'"),
        (["-t", "units:1", "--oracle", "toi"], 3, "did you mean 'toy'"),
        (
            ["-t", "units:1", "--oracle", "toy", "--optimizer", "adam"],
            2,
            "needs the capability GRADIENTS",
        ),
        (["-t", "units:1", "--oracle", "toy", "--set", "sigma=-1"], 2, "sigma"),
        (["-t", "units:1", "--oracle", "toy", "--id", "No Id"], 2, "not a study id"),
        (["-t", "units:1", "--oracle", "toy", "--label", "x"], 2, "expected NAME=TEXT"),
    ],
)
def test_a_request_that_cannot_work_is_refused_in_one_line(call, arguments, code, words):
    result = call("create", "--generator", "pixels", *arguments)
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_list_shows_states_and_filters(call, ask, name):
    _create(call, name)
    _wait(ask, name, "succeeded")
    assert name in [study["study_id"] for study in ask("list", "--state", "succeeded")]
    assert name not in [study["study_id"] for study in ask("list", "--state", "running")]
    (row,) = [line for line in call("list").stdout.splitlines() if line.startswith(name + " ")]
    assert "succeeded" in row
    assert "60 / 60" in row
    result = call("list", "--state", "runing")
    assert result.exit_code == 2
    assert "did you mean 'running'" in result.stderr


def test_watch_follows_to_the_end(call, name):
    result = _create(call, name, "--watch", queries=200)
    last = result.stdout.splitlines()[-1]
    assert last.startswith(f"{name}: succeeded, 400 of 400 queries")


def test_best_prints_scores_and_draws(call, ask, name, tmp_path):
    _create(call, name, "--watch")
    plain = ask("best", name)
    assert [entry["title"] for entry in plain] == ["units:1", "units:4"]
    assert all(0 < entry["score"] <= 1 and len(entry["latent"]) == 192 for entry in plain)
    assert plain[0]["candidate"].startswith(f"{name}/")
    picture = tmp_path / "best.png"
    result = call("best", name, "--out", picture)
    assert "units:4" in result.stdout
    assert np.asarray(Image.open(picture)).std() > 10


def test_pause_resume_extend_cancel_delete(call, ask, name):
    _create(call, name, oracle="slow", queries=4000)
    assert ask("pause", name)["state"] == "paused"
    assert ask("resume", name)["state"] in ("pending", "running")
    assert ask("extend", name, "--queries", 5000)["queries_per_target"] == 5000
    assert ask("cancel", name)["state"] == "cancelled"
    assert call("resume", name).exit_code == 3
    kept = call("delete", name, input="n\n")
    assert kept.exit_code == 1
    assert ask("show", name)["state"] == "cancelled"
    assert call("delete", name, "--yes").exit_code == 0
    gone = call("show", name)
    assert gone.exit_code == 3
    assert name in gone.stderr


def test_show_prints_the_account_of_a_study_that_used_up_its_quota(call, ask, name):
    _create(call, name, oracle="priced", queries=500)
    found = _wait(ask, name, "paused")
    assert found["stop_reason"] == "budget"
    # The oracle's rows include those of the repeatability check at the study's first use of it.
    rows = found["oracle"]["rows"]
    assert 0 < found["queries"] <= rows <= 45
    assert found["oracle"]["cost"] == rows / 2
    text = call("show", name).output
    assert f"oracle: {rows} rows" in text
    assert f"cost {rows / 2:g}" in text
    assert "of 45 rows were asked" in text


def test_extend_needs_an_option(call, name):
    _create(call, name)
    result = call("extend", name)
    assert result.exit_code == 2
    assert "--queries" in result.stderr


def test_ctrl_c_in_watch_leaves_the_study_running(call, ask, name, server, spawn):
    _create(call, name, oracle="slow", queries=4000)
    process = spawn("study", "watch", name, "--server", server)
    assert name in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"blackbox-am study watch {name} --server {server}" in said
    assert "Traceback" not in said
    before = ask("show", name)
    assert before["state"] == "running"
    deadline = time.monotonic() + 20
    while ask("show", name)["queries"] <= before["queries"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ask("cancel", name)


def test_a_watch_says_that_clients_measure_and_exits_with_8_when_the_study_is_cancelled(
    call, ask, name, server, spawn
):
    call("create", "--generator", "pixels", "-t", "units:1", "--id", name)
    process = spawn("study", "watch", name, "--server", server)
    assert "Clients measure study" in process.stderr.readline()
    ask("cancel", name)
    process.communicate(timeout=20)
    assert process.returncode == 8


def test_a_wrong_port_exits_with_6_and_says_what_to_check(cli):
    result = cli("study", "list", "--server", "localhost:1")
    assert result.exit_code == 6
    assert "localhost:1" in result.stderr
    assert "check that the server runs" in result.stderr


def test_the_environment_can_name_the_server(cli, server, monkeypatch):
    monkeypatch.setenv("BLACKBOX_AM_SERVER", server)
    assert cli("study", "list").exit_code == 0
