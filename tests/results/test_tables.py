"""Files of the history: every format has the same rows."""

from __future__ import annotations

import csv
import importlib.util

import numpy as np
import pytest

from blackbox_am.errors import InvalidInput, MissingExtra
from blackbox_am.results.frames import gathered
from blackbox_am.results.tables import read_npz, write_history


@pytest.fixture(scope="module")
def history(result):
    return gathered(result.progress, result.blocks(stimuli=True))


def test_csv_has_latents_to_the_last_bit(history, tmp_path):
    write_history(history, tmp_path / "h.csv")
    with (tmp_path / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [[np.float32(row[f"latent {d}"]) for d in range(48)] for row in rows]
    assert np.array_equal(np.array(found), history.latents)
    assert [float(row["score"]) for row in rows] == history.score.tolist()


def test_npz_has_everything(history, tmp_path):
    write_history(history, tmp_path / "h.npz")
    found = read_npz(tmp_path / "h.npz")
    assert found.titles == history.titles
    assert found.quantities == history.quantities
    for name in ("generation", "target", "row", "score", "values", "latents", "stimuli"):
        assert np.array_equal(getattr(found, name), getattr(history, name), equal_nan=True)


def test_parquet_needs_its_package(history, tmp_path):
    path = tmp_path / "h.parquet"
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(MissingExtra, match="pyarrow"):
            write_history(history, path)
        return
    import pyarrow.parquet as pq

    write_history(history, path)
    assert pq.read_table(path)["score"].to_pylist() == history.score.tolist()


def test_another_ending_is_refused(history, tmp_path):
    with pytest.raises(InvalidInput, match="did you mean 'csv'"):
        write_history(history, tmp_path / "h.cvs")
