"""`blackbox-am analyse`: methods by their names, pages, and messages."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from blackbox_am.analysis.methods import ATTRIBUTION


def test_every_method_is_a_command(cli):
    text = cli("analyse", "--help").stdout
    for name in (*ATTRIBUTION, "maps", "sobol"):
        assert name.replace("_", "-") in text


def test_a_map_is_written(cli, config, tmp_path):
    np.save(tmp_path / "x.npy", np.full((3, 8, 8), 0.5, np.float32))
    common = ("--oracle", "toy", "-u", "units:2", "--image", tmp_path / "x.npy", "--config", config)
    done = cli("analyse", "occlusion", *common, "--set", "window=2", "-o", tmp_path / "a", "--json")
    said = json.loads(done.stdout)
    assert said["spent"]["rows"] == 50
    assert (tmp_path / "a" / "analysis.html").is_file()
    assert (tmp_path / "a" / "plot.png").is_file()
    done = cli("analyse", "maps", *common, "-m", "occlusion", "-m", "rise", "-o", tmp_path / "b")
    assert "does not excite the unit more than the hidden one" in done.stdout  # it is one grey
    assert "The oracle served" in done.stdout


def test_a_missing_capability_is_one_sentence(cli, config, tmp_path):
    np.save(tmp_path / "x.npy", np.full((3, 8, 8), 0.5, np.float32))
    done = cli(
        "analyse", "saliency", "--oracle", "toy", "-u", "units:2", "--image", tmp_path / "x.npy",
        "--config", config, "-o", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 2
    assert "saliency needs the capability GRADIENTS" in done.stderr
    assert "occlusion" in done.stderr


def test_an_image_may_be_bytes_with_the_channels_last(cli, config, tmp_path):
    np.save(tmp_path / "x.npy", np.full((8, 8, 3), 128, np.uint8))
    np.save(tmp_path / "two.npy", np.full((2, 3, 8, 8), 0.5))
    common = ("--oracle", "toy", "-u", "units:2", "--config", config, "-o", tmp_path)
    done = cli("analyse", "occlusion", *common, "--image", tmp_path / "x.npy")
    assert done.exit_code == 0, done.stderr
    done = cli("analyse", "occlusion", *common, "--image", tmp_path / "two.npy")
    assert done.exit_code == 2
    assert "expected one stimulus, got (2, 3, 8, 8)" in done.stderr


def test_what_is_wrong_is_said(cli, config, tmp_path):
    common = ("--oracle", "toy", "-u", "units:2", "--config", config, "-o", tmp_path)
    done = cli("analyse", "rise", *common, "--image", "nothing.png")
    assert "expected a file that exists, or a set and a number" in done.stderr
    done = cli("analyse", "rise", *common, "--image", "nothing.npy")
    assert "there is no file" in done.stderr
    np.save(tmp_path / "x.npy", np.full((3, 8, 8), 0.5, np.float32))
    done = cli("analyse", "rise", *common, "--image", tmp_path / "x.npy", "--set", "mask=4")
    assert "did you mean 'masks'" in done.stderr


def test_sobol_of_a_table(cli, config, tmp_path):
    text = config.read_text() + '[oracles.row]\nkind = "simulated"\nstimulus_shape = [3]\n'
    config.write_text(text)
    done = cli(
        "analyse", "sobol", "--oracle", "row", "-u", "units:0", "--names", "age,dose,time",
        "--samples", "64", "--config", config, "-o", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "largest total indices" in done.stdout
    assert "dose" in (tmp_path / "analysis.html").read_text("utf-8")


def test_passports_are_written(cli, config, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    draws = np.random.default_rng(0).integers(0, 256, (12, 9, 8, 3), np.uint8)
    for number, pixels in enumerate(draws):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    done = cli(
        "analyse", "passport", "--oracle", "toy", "--layer", "units", "--most", "3",
        "--generator", "pixels", "--seeds", "1", "-q", "20", "--natural", folder,
        "--config", config, "-o", tmp_path / "p", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["lead"][0].startswith("3 units")
    assert {path.name for path in (tmp_path / "p").iterdir()} == {
        "analysis.html", "data.npz", "plot.png",
        "unit-units-0.html", "unit-units-1.html", "unit-units-2.html",
    }  # fmt: skip


def test_a_passport_needs_a_unit(cli, config):
    done = cli("analyse", "passport", "--oracle", "toy", "--config", config)
    assert "name a unit with --unit, or a layer with --layer" in done.stderr


def test_units_are_labelled_from_a_probe_file(cli, config, tmp_path):
    draws = np.random.default_rng(0)
    np.savez(
        tmp_path / "probe.npz",
        stimuli=draws.random((12, 3, 8, 8), np.float32),
        images=draws.random((12, 5)),
        texts=draws.random((3, 5)),
        concepts=np.array(["dog", "cat", "owl"]),
    )
    common = ("--oracle", "toy", "--probe", tmp_path / "probe.npz", "--config", config)
    done = cli("analyse", "clip-dissect", *common, "-l", "units", "-o", tmp_path / "a")
    assert "6 units got one of 3 concepts" in done.stdout
    done = cli("analyse", "dissect", *common, "-l", "units", "-o", tmp_path / "a")
    assert "expected arrays stimuli, masks, concepts; it lacks masks" in done.stderr
    done = cli("analyse", "ablate", *common, "-u", "units:0", "-o", tmp_path / "a")
    assert "it lacks classes" in done.stderr


def test_a_direction_and_its_alignment_are_written(cli, config, tmp_path):
    draws = np.random.default_rng(0)
    for name in ("positive", "negative"):
        np.save(tmp_path / f"{name}.npy", draws.random((30, 3, 8, 8), np.float32))
    examples = ("-p", tmp_path / "positive.npy", "-n", tmp_path / "negative.npy", "-l", "units")
    common = (*examples, "--oracle", "toy", "--config", config, "-o", tmp_path / "a")
    done = cli("analyse", "probe", *common)
    assert "Accuracy does not establish alignment" in done.stdout
    with np.load(tmp_path / "a" / "data.npz") as data:
        assert data["direction"].shape == (6,)
    done = cli("analyse", "alignment", *common)
    assert "Read both together" in done.stdout
    done = cli(
        "analyse", "tcav", *examples[:2], "-l", "units", "--stimuli", tmp_path / "negative.npy",
        "--random", tmp_path / "negative.npy", "-u", "units:0", *common[-6:],
    )  # fmt: skip
    assert "tcav needs the capability GRADIENTS" in done.stderr


def test_geometry_and_inversion_are_written(cli, config, tmp_path):
    draws = np.random.default_rng(0)
    stimuli = draws.random((20, 3, 8, 8), np.float32)
    np.savez(tmp_path / "probe.npz", stimuli=stimuli, labels=np.arange(20) % 2)
    np.save(tmp_path / "stimuli.npy", stimuli)
    np.save(tmp_path / "x.npy", stimuli[0])
    common = ("--config", config, "-o", tmp_path / "a")
    toy = (*common, "--oracle", "toy", "-l", "units")
    done = cli("analyse", "geometry", *toy, "--probe", tmp_path / "probe.npz")
    assert "not superposition" in done.stdout
    done = cli(
        "analyse", "compare-models", "toy", "toy", *common, "-l", "units",
        "--probe", tmp_path / "probe.npz", "--resamples", "20",
    )  # fmt: skip
    assert "No measure differs" in done.stdout
    done = cli("analyse", "components", *toy, "--stimuli", tmp_path / "stimuli.npy", "-k", "2")
    assert "2 components of 6 units" in done.stdout
    inverted = ("--image", tmp_path / "x.npy", "--generator", "pixels", "--queries", "60")
    done = cli("analyse", "invert", *toy, *inverted)
    assert "From 6 activations of units" in done.stdout
    done = cli("analyse", "dream", *toy, "--image", tmp_path / "x.npy")
    assert "pass gradients=False" in done.stderr
    done = cli(
        "analyse", "dream", *toy, "--image", tmp_path / "x.npy", "--blackbox", "--queries", "60"
    )
    assert "The mean square of units rose" in done.stdout
    done = cli("analyse", "style", *toy, "--image", tmp_path / "x.npy", "--style", "none.npy")
    assert "there is no file" in done.stderr
