"""Studies over HTTP are those that the Python client sees."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.gateway.conftest import TOKEN


def test_the_list_is_that_of_the_client(http, study):
    rows = {row["id"]: row for row in http.get("/api/studies").json()["studies"]}
    row, progress = rows["ended"], study.progress()
    assert row["state"] == "succeeded"
    assert row["stop_reason"] == "budget"
    assert row["best_score"] == max(t.best_score for t in progress.targets)
    assert (row["search_rows"], row["sequence"]) == (600, progress.sequence)
    assert row["labels"] == {"kind": "test"}


def test_a_study_has_its_targets(http, study):
    found = http.get("/api/studies/ended").json()
    assert [t["title"] for t in found["targets"]] == ["units:0", "units:1"]
    assert [t["best_score"] for t in found["targets"]] == [b.score for b in study.best()]
    assert found["optimizer"]["name"] == "random"
    assert found["stimulus_kind"] == "image"
    assert found["seed"] == 1


def test_curves_are_thinned(http, study):
    found = http.get("/api/studies/ended/curves", params={"points": 7}).json()
    assert found["generations"] == [0, 5, 10, 14, 19, 24, 29]
    assert found["rows"] == [20 * (g + 1) for g in found["generations"]]
    scores = [g.scores for g in study.generations()]
    best = np.maximum.accumulate([s.max(1) for s in scores])[found["generations"]]
    np.testing.assert_array_equal(np.array(found["best_so_far"]).T, best)
    assert found["natural_maximum"] == [None, None]


def test_the_best_is_a_picture(http, study):
    (best,) = study.best(True, targets=[1])
    answer = http.get("/api/studies/ended/targets/1/best.png", params={"size": 64})
    assert answer.headers["content-type"] == "image/png"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    expected = best.stimulus.transpose(1, 2, 0).repeat(8, 0).repeat(8, 1)
    assert np.abs(shown.astype(int) - expected).max() <= 1
    known = {"if-none-match": answer.headers["etag"]}
    again = http.get("/api/studies/ended/targets/1/best.png", params={"size": 64}, headers=known)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("verb", ["pause", "extend"])
def test_a_change_needs_the_token(http, study, verb):
    path = f"/api/studies/ended:{verb}"
    assert http.post(path).json()["error"]["reason"] == "UNAUTHENTICATED"
    wrong = {"authorization": f"Bearer {TOKEN}x"}
    assert http.post(path, headers=wrong).status_code == 401
