"""`blackbox-am runs` and `blackbox-am study export|plot|compare`."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

import blackbox_am


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    from blackbox_am.catalogue import Catalogue

    place = str(tmp_path_factory.mktemp("runs") / "runs.sqlite3")
    tables = {
        "oracles": {"toy": {"kind": "simulated", "stimulus_shape": [3, 8, 8], "units": 6}},
        "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
    }
    for seed in range(2):
        blackbox_am.maximise(
            oracle="toy",
            generator="pixels",
            targets=["units:1"],
            queries_per_target=40,
            seed=seed,
            store=place,
            study_id=f"seed-{seed}",
            catalogue=Catalogue.from_plain(tables),
            device="cpu",
        )
    return place


def test_a_store_is_listed_and_shown(cli, from_json, store, config):
    assert [run["study_id"] for run in from_json("runs", "list", "--store", store)] == [
        "seed-0",
        "seed-1",
    ]
    shown = from_json("runs", "show", "seed-1", "--store", store, "--config", config)
    assert shown["queries"] == 40
    assert shown["best"][0]["title"] == "units:1"
    text = cli("runs", "show", "seed-1", "--store", store, "--config", config).stdout
    assert "units:1" in text
    assert "seed-0" in cli("runs", "list", "--store", store).stdout


def test_what_is_not_there_is_said(cli, store, tmp_path):
    missing = tmp_path / "missing.sqlite3"
    result = cli("runs", "list", "--store", missing)
    assert (result.exit_code, missing.exists()) == (3, False)
    assert "there is no store" in result.stderr
    assert cli("runs", "show", "other", "--store", store).exit_code == 3


def test_a_run_is_exported_and_loaded(cli, store, config, tmp_path):
    options = ("--store", store, "--config", config)
    result = cli("runs", "export", "seed-0", "--out", tmp_path / "a", *options)
    assert result.exit_code == 0, result.stderr
    back = blackbox_am.load(tmp_path / "a")
    assert back.best[0].stimulus is not None
    assert len(list(back.rows(latents=False))) == 40


def test_a_missing_generator_is_noted(cli, store, tmp_path):
    result = cli("runs", "export", "seed-0", "--out", tmp_path / "a", "--store", store)
    assert result.exit_code == 0
    assert "no stimuli: no generator 'pixels'" in result.stderr
    assert "no stimuli" in (tmp_path / "a" / "study.json").read_text()


def test_a_history_has_latents_and_stimuli(cli, store, config, tmp_path):
    options = ("--store", store, "--config", config, "--out", tmp_path / "a")
    more = ("--history", "npz", "--latents", "--stimuli")
    assert cli("runs", "export", "seed-0", *more, *options).exit_code == 0
    with np.load(tmp_path / "a" / "history.npz") as arrays:
        assert arrays["latents"].shape == (40, 192)
        assert arrays["stimuli"].shape == (40, 3, 8, 8)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["history.npz"]
    assert cli("runs", "export", "seed-0", "--history", "csv", *options).exit_code == 0
    with (tmp_path / "a" / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 40
    result = cli("runs", "export", "seed-0", "--stimuli", *options)
    assert (result.exit_code, "add --history npz" in result.stderr) == (2, True)


@pytest.mark.parametrize("what", ["convergence", "best", "scores"])
def test_figures(cli, store, config, tmp_path, what):
    picture = tmp_path / "deep" / f"{what}.png"
    options = ("--store", store, "--config", config, "--what", what, "--out", picture)
    assert cli("runs", "plot", "seed-0", *options).exit_code == 0
    assert np.asarray(Image.open(picture).convert("L")).std() > 5


def test_a_wrong_ending_is_refused_first(cli, store, tmp_path):
    result = cli("runs", "plot", "seed-0", "--store", store, "--out", tmp_path / "a.pnk")
    assert (result.exit_code, "did you mean 'png'" in result.stderr) == (2, True)


def test_runs_are_compared(cli, from_json, store, tmp_path):
    picture = tmp_path / "c.svg"
    lines = from_json("runs", "compare", "seed-0", "seed-1", "--store", store, "--out", picture)
    (line,) = lines
    assert line["studies"] == 2
    assert line["low"] < line["best_score"] < line["high"]
    assert "<svg" in picture.read_text()
    text = cli("runs", "compare", "seed-0", "seed-1", "--store", store).stdout
    assert "seed-0 (2 seeds)" in text
    assert "95 % interval" in text


def test_studies_on_a_server(cli, server, tmp_path):
    for seed in (1, 2):
        create = ("-t", "units:1", "--oracle", "toy", "--generator", "pixels", "-q", 30)
        more = ("--id", f"exported-{seed}", "--seed", seed, "--watch", "--server", server)
        assert cli("study", "create", *create, *more).exit_code == 0
    folder, at = tmp_path / "a", ("--server", server)
    assert cli("study", "export", "exported-1", "--out", folder, "--latents", *at).exit_code == 0
    assert len(list(blackbox_am.load(folder).rows())) == 30
    picture = tmp_path / "best.pdf"
    drawn = cli("study", "plot", "exported-1", "--what", "best", "--out", picture, *at)
    assert drawn.exit_code == 0, drawn.stderr
    assert picture.read_bytes().startswith(b"%PDF")
    found = cli("study", "compare", "exported-1", "exported-2", "--json", *at)
    assert json.loads(found.stdout)[0]["studies"] == 2
