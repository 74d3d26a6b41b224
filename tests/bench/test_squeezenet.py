"""The problem of 227x227 pixels, and searches that are stopped and continue."""

from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am.bench import efficiency, encoding, generators, problems, squeezenet
from blackbox_am.errors import InvalidInput, NotFound

ASSETS = Path(__file__).parents[3] / "shared" / "assets"
needs_assets = pytest.mark.skipif(
    not (ASSETS / squeezenet.WEIGHTS_FILE).is_file(),
    reason="the shared assets are not beside this repository",
)


@needs_assets
@pytest.mark.slow
def test_the_net_classifies_as_its_authors_say() -> None:
    stimuli, classes = squeezenet.photos(ASSETS)
    found = squeezenet.recognised(stimuli, ASSETS)
    assert float((found == classes).float().mean()) == pytest.approx(0.66, abs=0.03)


@needs_assets
@pytest.mark.slow
def test_a_search_at_full_size_is_measured_and_drawn(tmp_path: Path, capsys) -> None:
    request = generators.Request(
        parts=("search",), oracle="squeezenet", generators=("pca_227", "dct_227"),
        optimizer="snes,population=10", units=1, seeds=1, queries=40, repeats=3, jobs=1,
        assets=ASSETS,
    )  # fmt: skip
    picture = tmp_path / "found.png"
    generators.run(request, results=tmp_path / "r.jsonl", page=None, picture=picture,
                   json_file=None, say=lambda text: None)  # fmt: skip
    assert " of 1" in capsys.readouterr().out
    assert picture.stat().st_size > 10_000
    pca, dct = efficiency.load(tmp_path / "r.jsonl")
    assert pca.found[-1, 0, 0] > 0.05
    assert dct.pictures.shape == (1, 3, 227, 227)
    assert len(squeezenet.other_photos(ASSETS)) == 192


def test_the_problem_needs_its_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="the assets lack squeezenet10_imagenet"):
        problems.problem("squeezenet+dct_227", 1, tmp_path)
    with pytest.raises(InvalidInput, match="unknown problem"):
        problems.problem("squeezenet+dct_227", 1, None)
    assert problems.usual_generators("squeezenet") == list(squeezenet.GENERATORS)


@pytest.mark.slow
def test_a_stopped_search_continues_from_its_journal(tmp_path: Path) -> None:
    cell = efficiency.Cell("cnn+pca", "snes,population=10", "0", 1, 1, 100)
    results = tmp_path / "r.jsonl"
    first = efficiency.run(cell, None, results)
    longer = efficiency.Cell(**{**vars(cell), "queries": 200})
    whole = efficiency.run(longer, None)
    again = efficiency.run(longer, None, results)
    np.testing.assert_array_equal(again.found, whole.found)
    assert again.found[again.at.index(100), 0, 0] == first.found[-1, 0, 0]


@pytest.mark.slow
def test_encoders_are_measured() -> None:
    found = encoding.measure("pca", problems.problem("cnn+pca", 2, None))
    pixels = encoding.measure("pixels", problems.problem("cnn+pixels_32", 2, None))
    assert found.baseline < found.decibels < pixels.decibels
    assert pixels.kept == pytest.approx((1.0, 1.0), rel=1e-4)
    table = encoding.sheet([found, pixels], "cnn")
    assert [row[0] for row in table.rows] == ["pixels", "pca"]
    assert torch.tensor(found.kept).max() < 1.2
