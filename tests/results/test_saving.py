"""A saved result is complete, and comes back to the last bit."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import blackbox_am
from blackbox_am.errors import InvalidInput, NotFound, Unsupported
from blackbox_am.results import saving


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    return result.save(tmp_path_factory.mktemp("saved") / "deep" / "er")


def test_the_folder_has_everything(folder, result):
    names = {path.name for path in folder.iterdir()}
    expected = {"study.json", "best.npz", "best.svg", "convergence.svg", "history.csv"}
    expected |= {"history.npz", "000_units_0.png", "001_units_2.png"}
    if importlib.util.find_spec("pyarrow"):
        expected.add("history.parquet")
    assert names == expected
    picture = np.asarray(Image.open(folder / "001_units_2.png"))
    expected = np.rint(result.best[1].stimulus * 255).transpose(1, 2, 0)
    assert np.array_equal(picture, expected)
    assert (folder / "best.svg").read_text().startswith("<?xml")


def test_study_json_is_enough_to_reproduce(folder, result):
    plain = json.loads((folder / "study.json").read_text())
    assert plain["spec"]["seed"] == result.spec.seed
    assert plain["provenance"]["oracle"]["digest"] == result.provenance.oracle.digest
    assert plain["provenance"]["versions"]["blackbox_am"] == blackbox_am.__version__
    assert plain["progress"]["spent"]["rows"] == result.progress.spent.rows


def test_it_comes_back(folder, result):
    back = blackbox_am.load(folder)
    assert back.progress == result.progress
    assert back.spec == result.spec
    assert back.provenance == result.provenance
    for one, other in zip(back.best, result.best, strict=True):
        assert np.array_equal(one.stimulus, other.stimulus)
        assert np.array_equal(one.latent, other.latent)
        assert np.array_equal(one.values, other.values)
        assert (one.candidate, one.title, one.score) == (
            other.candidate,
            other.title,
            other.score,
        )
    for part, other in zip(back.history, result.history, strict=True):
        assert part.targets == other.targets
        assert np.array_equal(part.scores, other.scores, equal_nan=True)
    for row, other in zip(back.rows(), result.rows(), strict=True):
        assert row.candidate == other.candidate
        assert np.array_equal(row.latent, other.latent)


def test_a_loaded_result_can_be_saved_again(folder, tmp_path):
    second = blackbox_am.load(folder).save(tmp_path / "second")
    assert (second / "study.json").read_bytes() == (folder / "study.json").read_bytes()
    assert (second / "history.csv").read_bytes() == (folder / "history.csv").read_bytes()


def test_a_rechecked_noisy_result_comes_back(search, tmp_path):
    result = search(oracle="noisy", queries_per_target=80)
    assert result.best[0].recheck is not None
    back = blackbox_am.load(result.save(tmp_path / "noisy", latents=True))
    assert back.best[0].recheck == result.best[0].recheck
    expected = sum(target.recheck_rows for target in result.progress.targets)
    assert sum(row.recheck for row in back.rows()) == expected > 0


def test_the_history_is_a_table(folder):
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert float(rows[0]["score"]) == float(rows[0]["units:0"])
    assert rows[0]["units:2"] == ""


def test_latents_that_are_not_saved_are_missed_with_the_reason(search, tmp_path):
    back = blackbox_am.load(search().save(tmp_path / "a"))
    assert len(list(back.rows(latents=False))) == 80
    with pytest.raises(Unsupported, match="keeps the best latents only; save with latents=True"):
        next(back.rows())
    with pytest.raises(Unsupported, match="best stimuli only"):
        next(back.rows(stimuli=True))


def test_another_study_is_not_overwritten(folder, search):
    with pytest.raises(InvalidInput, match="has the result of study 'found'"):
        search(study_id="other").save(folder)


def test_a_folder_without_a_result_is_refused(tmp_path, folder):
    with pytest.raises(NotFound, match="no saved result"):
        blackbox_am.load(tmp_path)
    (tmp_path / "study.json").write_text('{"format": "other"}')
    with pytest.raises(InvalidInput, match="expected format"):
        blackbox_am.load(tmp_path)
    (tmp_path / "study.json").write_bytes((folder / "study.json").read_bytes())
    with pytest.raises(InvalidInput, match="damaged"):
        blackbox_am.load(tmp_path)


def test_a_failed_save_leaves_the_earlier_result(result, tmp_path, monkeypatch):
    folder = result.save(tmp_path / "a")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_csv", full)
    with pytest.raises(InvalidInput, match="No space left"):
        result.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_interrupted_move_leaves_no_result(result, tmp_path, monkeypatch):
    folder = result.save(tmp_path / "a")
    replace = Path.replace

    def interrupted(path, other):
        if path.name == "history.npz":
            raise KeyboardInterrupt
        return replace(path, other)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            result.save(folder)
    with pytest.raises(NotFound, match="no saved result"):
        blackbox_am.load(folder)
    assert blackbox_am.load(result.save(folder)).progress == result.progress


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1, 2]"])
def test_an_unreadable_study_json_is_not_overwritten(result, tmp_path, content):
    (tmp_path / "study.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"cannot be read.*choose another folder, or delete"):
        result.save(tmp_path)
    assert (tmp_path / "study.json").read_bytes() == content
