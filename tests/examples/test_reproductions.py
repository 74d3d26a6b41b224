"""The configurations of reproductions are comparisons that run, each on a small scale here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blackbox_am.comparisons.reading import read_config

FOLDER = Path(__file__).parents[2] / "examples" / "reproductions"
CONFIGS = sorted(FOLDER.glob("*.toml"))
ASSETS = Path(__file__).parents[3] / "shared" / "assets"
"""Published weights, where a checkout has them."""
OPTIONS = {
    "mango": ["--budget", "300", "--methods", "nevergrad", "--methods", "auto"],
    "mango_snn": ["--budget", "40", "--methods", "auto", "--units", "final_spiking.rate:3"],
}
"""Nevergrad's portfolio needs 240 requests; a row of the spiking network takes a good part of a
second.
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with the files that do not ship."""
    folder = tmp_path_factory.mktemp("prepared")
    done = subprocess.run(
        [sys.executable, str(FOLDER / "prepare.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for module in FOLDER.glob("*.py"):
        shutil.copy(module, folder)
    return folder


def compared(path: Path, prepared: Path, out: Path) -> dict:
    """The summary of a comparison on a small scale."""
    config = prepared / path.name
    config.write_text(path.read_text("utf-8").replace('"weights/', f'"{ASSETS}/'), "utf-8")
    program = "from blackbox_am.cli import main; main()"
    options = ["compare", str(config), "--quick", "--out", str(out), *OPTIONS.get(path.stem, [])]
    done = subprocess.run(
        [sys.executable, "-c", program, *options],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").stat().st_size > 50_000
    summary: dict = json.loads((out / "summary.json").read_text("utf-8"))
    return summary


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_says_what_it_is_and_how_to_run_it(path: Path) -> None:
    spec, catalogue = read_config(path)
    assert spec.name == path.stem
    assert spec.oracle in catalogue.oracle_names()
    assert spec.generator in catalogue.generator_names()
    text = path.read_text("utf-8")
    assert f"blackbox-am compare examples/reproductions/{path.name} --out {path.stem}/" in text
    assert f"`{path.name}`" in (FOLDER / "README.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_first_look(path: Path, prepared: Path, tmp_path: Path) -> None:
    for name in re.findall('"weights/([^"]+)"', path.read_text("utf-8")):
        if not (ASSETS / name).is_file():
            pytest.skip(f"needs the published weights {name}")
    summary = compared(path, prepared, tmp_path / "out")
    assert summary["complete"]
    methods = {one["name"]: one for one in summary["methods"]}
    assert not [name for name, one in methods.items() if one.get("unavailable")]
    with np.load(tmp_path / "out" / "stimuli.npz") as found:
        assert np.isfinite(found["score"]).all()
        assert set(found["method"]) >= set(methods) - {"random"}
        if path.stem == "dgn_am":  # codes are clipped
            assert found["latents"].min() >= 0
            assert found["latents"].max() <= 3
        if path.stem == "sequence_dreaming":
            assert found["stimuli"].shape[1:] == (1, 128)
