from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from blackbox_am.cli import app
from tests import forked

CONFIG = """
[server]
shipped = false

[oracles.toy]
kind = "simulated"
stimulus_shape = [3, 8, 8]
units = 6

[oracles.priced]
kind = "simulated"
stimulus_shape = [3, 8, 8]

[[oracles.priced.wrap]]
kind = "quota"
rows = 45
cost_per_row = 0.5
currency = "EUR"

[oracles.slow]
kind = "simulated"
stimulus_shape = [3, 8, 8]
latency_seconds = 0.05

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "toys.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def cli(monkeypatch):
    """A function that runs a command in this process with a wide terminal."""
    for name in ("BLACKBOX_AM_SERVER", "BLACKBOX_AM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()

    def call(*arguments, **options):
        result = runner.invoke(app, [str(a) for a in arguments], **options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def from_json(cli):
    """A function that runs a command with --json and returns the parsed output."""

    def call(*arguments):
        result = cli(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


@pytest.fixture
def spawn():
    """A function that starts a command in another process, which ends with the test.

    Both processes have the same number of threads, because the rounding of matrix products depends
    on this number.
    """
    started = []

    def start(*arguments, **options):
        process = forked.Popen(
            [sys.executable, "-m", "blackbox_am.cli", *(str(a) for a in arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server with small simulated models."""
    from blackbox_am.service import load_config, running

    place = tmp_path_factory.mktemp("server")
    path = place / "toys.toml"
    path.write_text(
        CONFIG.replace(
            "shipped = false",
            f'shipped = false\naddress = "127.0.0.1:0"\nstore = "{place / "studies.sqlite3"}"',
        )
    )
    with running(load_config(path)) as address:
        yield address
