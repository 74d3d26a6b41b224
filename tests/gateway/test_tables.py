"""Series and table rows are shown as what they are."""

import io

import numpy as np
import pytest
from PIL import Image

from blackbox_am.gateway import drawing


def test_a_row_has_its_columns(http, client):
    study = client.create(
        targets=["model:0"], generator="rows", queries_per_target=60, study_id="rows"
    )
    study.ask_tell(lambda rows: rows[:, 0] - rows[:, 1], stimuli=True, dtype="float32")
    (best,) = study.best(True, dtype="float32")
    found = http.get("/api/studies/rows/targets/0/best.json").json()
    assert (found["kind"], found["shape"]) == ("table", [5])
    values = found["values"]
    assert values["age"] == round(18 + float(best.stimulus[0]) * 72)
    assert values["income"] == pytest.approx(1e5 * float(best.stimulus[1]))
    assert values["city"] == ["Rome", "Paris", "Kyiv"][int(best.stimulus[2:].argmax())]
    assert found["activations"] == {"model:0": best.score}
    listed = {g["name"]: g for g in http.get("/api/generators").json()["generators"]}
    assert [c["name"] for c in listed["rows"]["columns"]] == ["age", "income", "city"]
    assert listed["rows"]["columns"][0] == {"name": "age", "low": 18, "high": 90, "integer": True}
    assert listed["pixels"]["columns"] == []
    answer = http.get("/api/studies/rows/targets/0/best.png?size=100")
    assert Image.open(io.BytesIO(answer.content)).size == (100, 50)


def pixels(stimulus, size):
    return np.asarray(Image.open(io.BytesIO(drawing.png(stimulus, size)))).astype(int)


def test_a_series_is_a_line():
    """High where the series is high: the dark pixels of each column of the picture."""
    wave = 0.5 + 0.4 * np.sin(np.linspace(0, 6, 128, dtype=np.float32))
    shown = pixels(wave[None], 256)
    assert shown.shape == (128, 256, 3)
    dark = 255 - shown.min(2)
    places = (dark * np.arange(128)[:, None]).sum(0) / np.maximum(dark.sum(0), 1)
    inside = slice(20, 236)
    along = np.interp(np.linspace(-0.0435, 1.0435, 256), np.linspace(0, 1, 128), wave)
    expected = 128 * (1 - 0.04 - 0.92 * along)
    assert np.abs(places - expected)[inside].max() < 3


def test_channels_have_their_colours():
    shown = pixels(np.stack([np.full(64, 0.2), np.full(64, 0.8)]).astype(np.float32), 128)
    upper, lower = shown[:32].reshape(-1, 3), shown[32:].reshape(-1, 3)
    assert (upper[upper.sum(1).argmin()] != lower[lower.sum(1).argmin()]).any()


def test_bars_have_the_height_of_their_values():
    shown = pixels(np.array([0.0, 0.5, 1.0], np.float32), 90)
    heights = [(shown[:, column, 0] < 128).sum() for column in (15, 45, 75)]
    assert heights[0] <= 2
    assert heights[1] == pytest.approx(22, abs=2)
    assert heights[2] == 45


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((3, 8, 8), (64, 64)),
        ((1, 8, 16), (64, 32)),
        ((5, 4, 4), (56, 36)),  # channels as tiles, enlarged by a whole number
        ((3, 300, 100), (21, 64)),  # made smaller
        ((7,), (64, 32)),
        ((200,), (64, 32)),
        ((2, 2, 2, 2, 2), (64, 32)),
    ],
)
def test_sizes(shape, size):
    stimulus = np.random.default_rng(0).random(shape, np.float32)
    assert pixels(stimulus, 64).shape[1::-1] == size


def test_values_that_are_no_numbers():
    assert pixels(np.full((3, 8, 8), np.nan, np.float32), 8).max() == 0
