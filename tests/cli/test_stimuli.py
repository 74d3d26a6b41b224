from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from blackbox_am.core.tensors import to_uint8
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.service import load_config, running


@pytest.fixture(params=["here", "server"])
def place(request, config):
    """Arguments for a generator of this installation, and for a generator of a server."""
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


def test_samples_depend_on_the_seed_and_not_on_the_place(cli, config, server, tmp_path):
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
        (["interpolate", "pixels", "--latents", "none.npy"], 3, "there is no file"),
        (["interpolate", "pixels", "--latents", "words.npy"], 2, "written by numpy.save"),
        (["interpolate", "pixels", "--latents", "flat.npy"], 2, "shape (M, 192)"),
    ],
)
def test_wrong_arguments_are_refused(cli, place, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.npy").write_text("no array")
    np.save(tmp_path / "flat.npy", np.zeros(192))
    result = cli(*arguments, *place)
    assert result.exit_code == code, result.stderr
    assert says in result.stderr
    assert not list(tmp_path.glob("samples*"))


NEAR = """
[server]
shipped = false
address = "127.0.0.1:0"
store = ":memory:"

[generators.near]
kind = "perturbation"
inputs = "{inputs}"
radius = 0.1
"""


@pytest.fixture
def inputs():
    return np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)


@pytest.fixture(params=["here", "server"])
def near(request, tmp_path, inputs):
    """Arguments for a generator with 3 inputs, of this installation and of a server."""
    path = tmp_path / "near.toml"
    np.save(tmp_path / "inputs.npy", inputs)
    path.write_text(NEAR.format(inputs=tmp_path / "inputs.npy"))
    if request.param == "here":
        yield ["--config", str(path)]
        return
    with running(load_config(path)) as address:
        yield ["--server", address]


@pytest.mark.parametrize("command", [["sample", "-n", 6], ["interpolate", "--rows", 2]])
def test_shows_each_target_around_its_own_input(cli, near, tmp_path, inputs, command):
    out, latents = tmp_path / "x.npy", tmp_path / "z.npy"
    generator, found = Perturbation(inputs, radius=0.1), []
    for target in range(3):
        picture = tmp_path / f"{target}.png"
        arguments = [*command, "near", *near, "--target", target]
        assert cli(*arguments, "-o", out, "--latents-out", latents).exit_code == 0
        drawn = torch.from_numpy(np.load(latents))
        expected = generator.render_targets(drawn, torch.full((len(drawn),), target)).numpy()
        np.testing.assert_array_equal(to_uint8(np.load(out)), to_uint8(expected))
        assert cli(*arguments, "-o", picture).exit_code == 0
        found.append(picture.read_bytes())
    assert len(set(found)) == 3
    assert cli(*command, "near", *near, "-o", tmp_path / "none.png").exit_code == 0
    assert (tmp_path / "none.png").read_bytes() == found[0]


def test_an_unknown_target_is_refused(cli, near, tmp_path):
    out = tmp_path / "x.png"
    result = cli("sample", "near", *near, "--target", 3, "-o", out)
    assert result.exit_code == 2
    assert "made for 3 targets, expected numbers from 0 to 2, got 3" in result.stderr
    assert cli("sample", "near", *near, "--target", -1, "-o", out).exit_code == 2
    assert not out.exists()


def test_targets_of_a_generator_without_targets_are_refused(cli, place, tmp_path):
    out = tmp_path / "x.npy"
    assert cli("sample", "pixels", *place, "--target", 0, "-o", out).exit_code == 0
    result = cli("interpolate", "pixels", *place, "--target", 2, "-o", out)
    assert result.exit_code == 2
    assert "tells no targets apart, so expected only 0, got 2" in result.stderr


def test_the_catalogue_says_how_many_targets_there_are(cli, from_json, near):
    (entry,) = from_json("catalog", "generators", *near)
    assert entry["targets"] == 3
    table = cli("catalog", "generators", *near).stdout.splitlines()
    assert table[1][table[0].index("targets") :].split()[0] == "3"


def test_an_unreachable_server_is_reported(cli):
    result = cli("sample", "pixels", "--server", "localhost:1")
    assert result.exit_code != 0
    assert "localhost:1" in result.stderr
