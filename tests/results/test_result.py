"""A result in a notebook, as a table, and after pickling."""

from __future__ import annotations

import math
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest

import blackbox_am
from blackbox_am.errors import MissingExtra, Unsupported
from blackbox_am.results.frames import PLACE


def test_its_repr_is_short(result):
    assert repr(result).startswith("<Result 'found': succeeded, 2 targets, 80 queries; best: units")
    many = replace(result, best=result.best * 20)
    assert len(repr(many)) < 200
    assert repr(many).endswith(", ...>")
    assert "nothing measured" in repr(replace(result, best=[]))


def test_a_notebook_shows_pictures_and_scores(result):
    page = result._repr_html_()
    assert page.count("<img") == page.count("data:image/png;base64,") == 2
    assert f"{result.best[0].score:.4g}" in page
    assert "http" not in page
    assert "<script" not in page


def test_a_notebook_shows_no_markup_of_others(result):
    evil = [replace(best, title="<script>alert('x')</script>") for best in result.best]
    page = replace(result, best=evil, notes=("<b onload=x>",))._repr_html_()
    assert "<script" not in page
    assert "<b onload" not in page
    assert "&lt;script&gt;" in page


def test_many_targets_stay_small_in_a_notebook(result):
    page = replace(result, best=result.best * 500)._repr_html_()
    assert "and 976 more targets" in page
    assert len(page) < 200_000


def test_a_table_has_a_line_for_each_measurement(result):
    table = result.to_dataframe()
    assert tuple(table.columns[:7]) == PLACE
    assert len(table) == 80
    assert table["score"].max() == max(best.score for best in result.best)
    mine = table[table["target"] == 1]
    assert (mine["score"] == mine["units:2"]).all()
    assert mine["units:0"].isna().all()


def test_a_missing_package_is_named(result, monkeypatch):
    for package, method in (("pandas", result.to_dataframe), ("xarray", result.to_xarray)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtra, match=rf"'{package}'.*blackbox-am\[results\]"):
            method()


def test_it_can_be_pickled_without_its_journal(result):
    copy = pickle.loads(pickle.dumps(result))
    assert copy.progress == result.progress
    assert np.array_equal(copy.best[0].stimulus, result.best[0].stimulus)
    assert copy.spec == result.spec
    with pytest.raises(Unsupported, match="open_result"):
        next(copy.rows())


def test_what_was_shown_comes_back(result):
    rows = list(result.rows(stimuli=True))
    assert len(rows) == 80
    found = {row.candidate: row for row in rows}
    for best in result.best:
        row = found[best.candidate]
        assert row.score == best.score
        assert np.array_equal(row.latent, best.latent)
        assert np.array_equal(row.stimulus, best.stimulus)
        assert row.activations == {best.title: best.score}
    assert [row.latent.tobytes() for row in rows if row.candidate.target == 0] == [
        latent.tobytes() for part in result.latents for latent in part[0]
    ]


def test_a_failed_measurement_has_no_score(search, catalogue):
    def model(stimuli):
        scores = stimuli.mean((1, 2, 3))
        scores[0] = math.nan
        return scores

    found = search(oracle=model, targets=["scores:0"])
    scores = [row.score for row in found.rows(latents=False)]
    assert 0 < np.isnan(scores).sum() == found.progress.failed_rows
    assert len(scores) == found.progress.search_rows


def test_the_same_specification_gives_the_same_bits(result, catalogue):
    again = blackbox_am.repeat(result.spec, catalogue=catalogue, device="cpu")
    for one, other in zip(again.best, result.best, strict=True):
        assert one.score == other.score
        assert np.array_equal(one.latent, other.latent)


def test_provenance_names_the_models_and_versions(result):
    found = result.provenance
    assert found.oracle.kind == "simulated"
    assert found.generator.kind == "pixels"
    assert len(found.oracle.digest) == 32
    assert found.versions["blackbox_am"] == blackbox_am.__version__
    assert found.optimizer.name == result.progress.optimizer
