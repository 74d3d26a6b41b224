from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blackbox_am.cli.demo import QUERIES, UNITS
from tests import forked

KEYS = {"unit", "natural_max", "random_best", "best", "queries"}


def _demo(folder, *options, timeout):
    started = time.monotonic()
    done = forked.run(
        [sys.executable, "-m", "blackbox_am.cli", "demo", "--out", str(folder), *options],
        timeout=timeout,
        env={**os.environ, "COLUMNS": "120"},
    )
    return done, time.monotonic() - started


def _check(folder, stdout, units, queries):
    summary = json.loads((folder / "summary.json").read_text())
    assert [line["unit"] for line in summary] == list(UNITS[:units])
    for line in summary:
        assert set(line) == KEYS
        assert line["queries"] == queries
        assert all(np.isfinite(line[key]) for key in KEYS - {"unit"})
        assert f"{line['best']:.3f}" in stdout
    for name in ("montage.png", "convergence.png"):
        picture = np.asarray(Image.open(folder / name).convert("RGB"))
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 20
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    return summary


def _browser(folder: Path) -> Path:
    """A program in place of a browser, which writes the address that it shall show into a file."""
    path = folder / "browser.py"
    path.write_text("import pathlib, sys\npathlib.Path(sys.argv[1]).write_text(sys.argv[2])\n")
    return path


def test_a_short_demo_writes_all_files(tmp_path, monkeypatch):
    opened = tmp_path / "opened"
    monkeypatch.setenv("BROWSER", f"{sys.executable} {_browser(tmp_path)} {opened} %s")
    options = ("--queries", "40", "--units", "3", "--open")
    done, _ = _demo(tmp_path / "d", *options, timeout=110)
    summary = _check(tmp_path / "d", done.stdout, units=3, queries=40)
    page = tmp_path / "d" / "index.html"
    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 2
    assert f"{summary[0]['best']:.3f}" in text
    assert "blackbox-am init model.onnx" in done.stdout
    assert opened.read_text() == page.as_uri()
    assert "natural max" in done.stdout
    assert "server stopped" in done.stderr
    assert "Traceback" not in done.stderr


def _servers_of(process):
    """Server processes that the demo started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if b"serve" in words and parent == process.pid:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
def test_ctrl_c_also_ends_the_server(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "blackbox_am.cli", "demo", "--out", str(tmp_path / "d")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert "queries" in process.stdout.readline()
    (server,) = _servers_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "server stopped" in said
    assert "Traceback" not in said
    assert not Path(f"/proc/{server}").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cma_beats_random_search_on_every_unit(tmp_path):
    done, seconds = _demo(tmp_path / "d", timeout=580)
    for line in _check(tmp_path / "d", done.stdout, units=len(UNITS), queries=QUERIES):
        assert line["best"] > line["random_best"], line
    assert seconds < 300  # under 120 on two free cores; a test machine is seldom free
