"""`blackbox-am compare` as a user types it."""

from __future__ import annotations

import csv
import json
import signal
import time

import numpy as np
import pytest

from blackbox_am.cli.compare_example import EXAMPLE
from blackbox_am.service import load_config, running

MODELS = """
[oracles.toy]
kind = "simulated"
stimulus_shape = [3, 6, 6]
gradients = true
batch_size = 16

[generators.pixels]
kind = "pixels"
shape = [3, 6, 6]
"""
TOYS = (
    """
name = "toys"
oracle = "toy"
generator = "pixels"
units = ["units:0", "units:3"]
seeds = 2
budget = 60
baseline_rows = 10

[[methods]]
name = "adam"

[[methods]]
name = "sep_cma"
"""
    + MODELS
)
CHANGING = {"seconds", "equal_time", "equal_time_relative", "equal_time_standardised"}
"""Columns that depend on the load of the machine."""


@pytest.fixture
def toys(tmp_path):
    path = tmp_path / "toys.toml"
    path.write_text(TOYS)
    return path


def table(folder):
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: row[key] for key in row if key not in CHANGING} for row in rows]


def stimuli(folder):
    with np.load(folder / "stimuli.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}


def test_a_report_and_files(cli, toys, tmp_path):
    out = tmp_path / "report"
    result = cli("compare", toys, "--seeds", 1, "--out", out)
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == ["method", "adam", "sep_cma", "random"]
    assert lines[1][1] == "30"
    assert "2 units of 1 layer; the protocol asks for 20" in result.stderr
    assert "4 of 4: random, seed 0" in result.stderr
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    rows = table(out)
    assert len(rows) == 3 * 2
    assert json.loads((out / "summary.json").read_text())["complete"]
    with np.load(out / "stimuli.npz") as arrays:
        assert arrays["stimuli"].shape == (6, 3, 6, 6)
        assert arrays["natural"].shape == (2, 3, 6, 6)


@pytest.mark.slow
def test_a_report_of_what_is_stored(cli, toys, tmp_path):
    out = tmp_path / "report"
    cli("compare", toys, "--seeds", 1, "--out", out)
    rows = table(out)
    again = cli("compare", toys, "--seeds", 1, "--out", out, "--stored")
    assert again.exit_code == 0, again.stderr
    assert table(out) == rows
    partial = cli("compare", toys, "--seeds", 2, "--out", out, "--stored")
    assert "the comparison is not complete" in partial.stderr


@pytest.mark.slow
def test_the_same_on_a_server(cli, toys, tmp_path):
    served = tmp_path / "served.toml"
    server = f'[server]\naddress = "127.0.0.1:0"\nstore = "{tmp_path / "store.sqlite3"}"\n'
    served.write_text(server + MODELS)
    with running(load_config(served)) as address:
        there = cli("compare", toys, "--quick", "--out", tmp_path / "a", "--server", address)
    here = cli("compare", toys, "--quick", "--out", tmp_path / "b")
    assert (there.exit_code, here.exit_code) == (0, 0), there.stderr + here.stderr
    assert table(tmp_path / "a") == table(tmp_path / "b")
    assert stimuli(tmp_path / "a") == stimuli(tmp_path / "b")


def test_an_example_to_begin_with(cli):
    result = cli("compare", "--example")
    assert result.exit_code == 0
    assert result.stdout == EXAMPLE


@pytest.mark.parametrize(
    ("options", "change", "code", "said"),
    [
        ([], ("", ""), 0, ""),
        (["--budget", 8], ("", ""), 2, "a generation of method 'sep_cma' has"),
        (["--methods", "adma"], ("", ""), 2, "did you mean 'adam'"),
        (["--units", "units:88"], ("", ""), 2, "units:88"),
        ([], ('oracle = "toy"', 'oracle = "toyy"'), 3, "did you mean 'toy'"),
        ([], ("seeds = 2", "seeds = 2\nversion = 2"), 2, "expected 1, the version"),
        ([], ("seeds = 2", 'tuning_units = ["units:3"]'), 2, "got units:3 in both"),
        (["--stored"], ("", ""), 2, "nothing of this comparison is stored here"),
    ],
)
def test_a_wrong_request_is_one_line(cli, toys, tmp_path, options, change, code, said):
    if not code:
        result = cli("compare")
        assert result.exit_code == 2
        assert "--example" in result.stderr
        return
    toys.write_text(TOYS.replace(*change))
    result = cli("compare", toys, "--out", tmp_path / "report", *options)
    assert result.exit_code == code
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_kill_9_changes_nothing(spawn, toys, tmp_path):
    slow = tmp_path / "slow.toml"
    slow.write_text(TOYS.replace("[oracles.toy]", "[oracles.toy]\nlatency_seconds = 0.02"))
    whole = spawn("compare", slow, "--out", tmp_path / "whole")
    assert whole.wait(300) == 0, whole.stderr.read()
    out, done = tmp_path / "killed", False
    for wait in (3.0, 5.0, 7.0, 300.0):
        process = spawn("compare", slow, "--out", out)
        deadline = time.monotonic() + wait
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        done = process.poll() == 0
        if done:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert done
    assert table(out) == table(tmp_path / "whole")
    assert stimuli(out) == stimuli(tmp_path / "whole")


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(spawn, toys, tmp_path):
    toys.write_text(TOYS.replace("[oracles.toy]", "[oracles.toy]\nlatency_seconds = 0.5"))
    process = spawn("compare", toys, "--out", tmp_path / "report")
    deadline = time.monotonic() + 120
    while not (tmp_path / "report" / "journal.sqlite3").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "Go on with: blackbox-am compare" in process.stderr.read()
