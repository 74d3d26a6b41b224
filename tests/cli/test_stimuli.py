from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(params=["here", "server"])
def place(request, config):
    """The same commands, with a generator of this installation and of a server."""
    if request.param == "server":
        return ["--server", request.getfixturevalue("server")]
    return ["--config", str(config)]


def test_samples_as_a_picture_and_as_numbers(cli, place, tmp_path):
    picture, latents = tmp_path / "grid.png", tmp_path / "made" / "z.npy"
    result = cli("sample", "pixels", "-n", 70, "-o", picture, "--latents-out", latents, *place)
    assert result.exit_code == 0, result.stderr
    assert f"wrote {picture}" in result.stderr
    drawn = np.load(latents)
    assert drawn.shape == (70, 192)
    with Image.open(picture) as opened:
        width, height = opened.size
    assert height > width  # 9 rows of 8

    numbers = tmp_path / "x.npy"
    assert cli("sample", "pixels", "-n", 70, "-o", numbers, *place).exit_code == 0
    np.testing.assert_array_equal(np.load(numbers).reshape(70, 192), drawn)


def test_seeds_tell_samples_apart_and_a_server_draws_the_same(cli, config, server, tmp_path):
    found = []
    for where in (["--config", config], ["--server", server], ["--config", config, "--seed", 1]):
        cli("sample", "pixels", "-n", 3, "-o", tmp_path / "x.npy", *where)
        found.append(np.load(tmp_path / "x.npy"))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_interpolates_between_draws(cli, place, tmp_path):
    out = tmp_path / "x.npy"
    result = cli("interpolate", "pixels", "--rows", 2, "--steps", 5, "-o", out, *place)
    assert result.exit_code == 0, result.stderr
    rows = np.load(out).reshape(2, 5, 192)
    np.testing.assert_allclose(rows[:, 2], (rows[:, 0] + rows[:, 4]) / 2, atol=1e-6)


def test_interpolates_between_latents_of_ones_own(cli, place, tmp_path):
    mine, out = tmp_path / "mine.npy", tmp_path / "x.npy"
    np.save(mine, np.stack([np.zeros(192), np.ones(192), np.full(192, 0.5)]).astype(np.float32))
    assert cli(
        "interpolate", "pixels", "--latents", mine, "--steps", 3, "-o", out, *place
    ).exit_code == 0  # fmt: skip
    assert np.load(out)[:, 0, 0, 0].tolist() == [0, 0.5, 1, 1, 0.75, 0.5]
    picture = tmp_path / "between.png"
    assert cli("interpolate", "pixels", "--latents", mine, "-o", picture, *place).exit_code == 0
    with Image.open(picture) as opened:
        assert opened.format == "PNG"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["sample", "pixls"], 3, "did you mean 'pixels'"),
        (["sample", "pixels", "-o", "x.pngg"], 2, "did you mean 'png'"),
        (["sample", "pixels", "--latents-out", "z.txt"], 2, "ending in .npy"),
        (["sample", "pixels", "-o", "."], 2, "is a folder"),
        (["sample", "pixels", "-n", "0"], 2, "greater than or equal to 1"),
        (["interpolate", "pixels", "--latents", "none.npy"], 3, "no such file"),
        (["interpolate", "pixels", "--latents", "words.npy"], 2, "as numpy.save writes them"),
        (["interpolate", "pixels", "--latents", "flat.npy"], 2, "shape (M, 192)"),
    ],
)
def test_mistakes(cli, place, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.npy").write_text("no array")
    np.save(tmp_path / "flat.npy", np.zeros(192))
    result = cli(*arguments, *place)
    assert result.exit_code == code, result.stderr
    assert says in result.stderr
    assert not list(tmp_path.glob("samples*"))


def test_no_server(cli):
    result = cli("sample", "pixels", "--server", "localhost:1")
    assert result.exit_code != 0
    assert "localhost:1" in result.stderr
