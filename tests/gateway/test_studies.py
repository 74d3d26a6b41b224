"""Studies over HTTP are those that the Python client sees."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from blackbox_am.core.spec import GeneratorSpec
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


def test_a_gallery_has_each_picture_at_its_place(http, client):
    """Requests of many targets share calls of the server."""
    targets = [f"units:{place % 10}" for place in range(40)]
    study = client.create(
        targets=targets, oracle="sim", generator="pixels", queries_per_target=20, seed=2
    )
    study.wait()
    expected = {best.target: best.stimulus for best in study.best(True)}

    def shown(target):
        answer = http.get(f"/api/studies/{study.id}/targets/{target}/best.png?size=8")
        return np.asarray(Image.open(io.BytesIO(answer.content))).transpose(2, 0, 1)

    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            pictures = list(pool.map(shown, range(40)))
        for target, picture in enumerate(pictures):
            assert np.abs(picture.astype(int) - expected[target]).max() <= 1, target
    study.delete()


def test_equal_latents_of_other_inputs_are_other_pictures(http, client):
    """Targets, studies, and a study that was made anew: latents of 0 around inputs of their own."""
    inputs = np.random.default_rng(1).random((4, 3, 8, 8), np.float32)

    def shown(study_id, target):
        answer = http.get(f"/api/studies/{study_id}/targets/{target}/best.png?size=8")
        picture = np.asarray(Image.open(io.BytesIO(answer.content))).transpose(2, 0, 1)
        return picture.astype(int), answer.headers["etag"]

    tags = set()
    for study_id, first in (("inputs-a", 0), ("inputs-b", 1), ("inputs-a", 2)):
        digest = client.write_array(inputs[first : first + 2])
        study = client.create(
            targets=["units:0", "units:0"],
            oracle="sim",
            generator=GeneratorSpec("perturbation", {"squash": False}, {"inputs": digest}),
            optimizer="random",
            parameters={"population": 1},
            queries_per_target=1,
            start=np.zeros((1, 192), np.float32),
            study_id=study_id,
            seed=0,
        )
        study.wait()
        for target in range(2):
            picture, etag = shown(study_id, target)
            assert np.abs(picture - 255 * inputs[first + target]).max() <= 1, (study_id, target)
            tags.add(etag)
        if first != 1:
            study.delete()
    assert len(tags) == 6


@pytest.mark.parametrize("verb", ["pause", "extend"])
def test_a_change_needs_the_token(http, study, verb):
    path = f"/api/studies/ended:{verb}"
    assert http.post(path).json()["error"]["reason"] == "UNAUTHENTICATED"
    wrong = {"authorization": f"Bearer {TOKEN}x"}
    assert http.post(path, headers=wrong).status_code == 401
