"""`blackbox-am attack` as a user types it."""

from __future__ import annotations

import json
import re
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from blackbox_am.client import connect
from blackbox_am.service import running
from blackbox_am.service.config import load_config

PIXELS = np.random.default_rng(5).integers(0, 256, (6, 8, 8, 3), np.uint8)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for place, image in enumerate(PIXELS):
        Image.fromarray(image).save(folder / f"{place}.png")
    return folder


@pytest.fixture
def toys(config, pictures):
    """Arguments of a small attack."""
    return ["attack", "--oracle", "toy", "--images", pictures, "--config", config]


def test_a_folder_of_pictures_becomes_a_report(cli, toys, pictures, tmp_path):
    (pictures / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "report"
    result = cli(*toys, "--budget", 60, "--eps", "24/255", "--out", out)
    assert result.exit_code == 0, result.stderr
    found = re.search(r"signhunter, linf 0\.09412: fooled (\d) of 6 images", result.stdout)
    assert found, result.stdout
    assert int(found[1]) >= 3
    assert "broken.png" in result.stderr
    assert "searching: 6 of 6 images done" in result.stderr
    page = (out / "index.html").read_text()
    assert "broken.png" in page
    rows = (out / "rows.csv").read_text().splitlines()
    assert len(rows) == 1 + 7
    summary = json.loads((out / "summary.json").read_text())
    assert summary


def test_the_same_command_again_measures_nothing(cli, toys, tmp_path):
    command = [*toys, "--budget", 30, "--out", tmp_path / "report"]
    first = cli(*command)
    again = cli(*command)
    assert again.stdout == first.stdout
    other = cli(*command, "--seed", 1)
    assert other.exit_code == 3
    assert "seed" in other.stderr


def test_several_radii_share_a_report(cli, toys, tmp_path):
    out = tmp_path / "report"
    radii = [x for eps in ("4/255", "0.1") for x in ("--eps", eps)]
    result = cli(*toys, "--budget", 20, *radii, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "linf 0.01569" in result.stdout
    assert "linf 0.1:" in result.stdout
    results = json.loads((out / "summary.json").read_text())["results"]
    clean = [one["spent"]["clean_rows"] for one in results]
    assert clean == [6, 0], "the clean images were paid more than once"
    probes = [one["spent"]["probe_rows"] for one in results]
    assert probes[0] - probes[1] >= 4 * 6, "the test of repeatability was paid more than once"
    assert results[0]["identity"]["repeatability"] == results[1]["identity"]["repeatability"]
    compared = cli("attack", "compare", out, out)
    assert compared.exit_code == 0, compared.stderr
    assert compared.stdout.count("both attacked") >= 2


def test_labels_and_targets_from_files(cli, toys, tmp_path):
    labels, targets = tmp_path / "labels.csv", tmp_path / "targets.txt"
    labels.write_text("".join(f"{place}.png,{place % 2}\n" for place in range(6)))
    targets.write_text("5\n" * 6)
    out = tmp_path / "report"
    command = [*toys, "--labels", labels, "--targeted", targets, "--budget", 10, "--out", out]
    result = cli(*command)
    assert result.exit_code == 0, result.stderr
    assert "skipped" in result.stdout, "random labels are all right"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--eps", "8"], "8/255"),
        (["--eps", "0"], "clean accuracy is the answer"),
        (["--eps", "one"], "8/255"),
        (["--norm", "l7"], "linf, l2, l0"),
        (["--attack", "sqare"], "square"),
        (["--labels", "nowhere.csv"], "nowhere.csv"),
        (["--layer", "unit"], "units"),
        (["--set", "share=2"], "share"),
        (["--repeats", "0"], "1 (no test) to 100"),
        (["--server", "localhost:1"], "--config"),
    ],
)
def test_a_mistyped_option_is_explained(cli, toys, tmp_path, arguments, says):
    result = cli(*toys, *arguments, "--out", tmp_path / "report")
    assert result.exit_code != 0
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def refused(result, says):
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (
            {"x": np.full((3, 3, 8, 8), 2.0)},
            "expected uint8, or floats in [0, 1], got float64 from 2",
        ),
        ({"x": np.full((3, 3, 8, 8), -0.1)}, "expected uint8, or floats in [0, 1]"),
        ({"x": np.full((3, 3, 8, 8), np.nan)}, "got float64 with nan"),
        ({"x": np.zeros((3, 3, 9, 8), np.uint8)}, "(N, 3, 8, 8)"),
        ({"x": np.zeros((0, 3, 8, 8), np.uint8)}, "one input or more"),
        ({"x": np.zeros((3, 3, 8, 8), np.uint8), "labels": [0, 1]}, "expected 3, one for each"),
        ({"x": np.zeros((3, 3, 8, 8), np.uint8), "labels": [0, 1, 6]}, "from 0 to 5, got 6"),
        ({"pictures": np.zeros((3, 3, 8, 8), np.uint8)}, "images, inputs or x"),
    ],
)
def test_inputs_that_cannot_be_attacked_are_refused(cli, config, tmp_path, arrays, says):
    np.savez(tmp_path / "x.npz", **arrays)
    command = ["attack", "--oracle", "toy", "--images", tmp_path / "x.npz", "--config", config]
    refused(cli(*command, "--out", tmp_path / "report"), says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--eps=-1/255"], "above 0 and at most 1"),
        (["--norm", "l2", "--eps", "0"], "above 0, such as 1.0"),
        (["--attack", "signhunter", "--tiles", "4"], "signhunter does not search tiles"),
        (["--attack", "patch"], "patch searches l0 balls"),
        (["--attack", "pgd"], "pgd"),
    ],
)
def test_an_attack_that_cannot_work_is_refused(cli, toys, tmp_path, options, says):
    refused(cli(*toys, *options, "--out", tmp_path / "report"), says)


NETS = """
import torch

class Number(torch.nn.Module):
    "Only the number of the class."
    def forward(self, x):
        return (x.flatten(1).mean(1) > 0.5).long()

class Labels(Number):
    "1 for the class, 0 for the others."
    def forward(self, x):
        return torch.nn.functional.one_hot(super().forward(x), 2).float()

class Blind(torch.nn.Module):
    "No finite scores for bright pictures."
    def forward(self, x):
        mean = x.flatten(1).mean(1, keepdim=True)
        scores = torch.cat([mean, 1 - mean], 1)
        return torch.where(mean > 0.6, torch.nan, scores)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A configuration of models that tell labels, or nan, from a module beside it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "nets_of_attacks.py").write_text(NETS)
    path = tmp_path / "nets.toml"
    path.write_text(
        "".join(
            f'[oracles.{name.lower()}]\nkind = "torch_module"\nstimulus_shape = [3, 8, 8]\n'
            f'model = "nets_of_attacks:{name}"\n'
            for name in ("Number", "Labels", "Blind")
        )
    )
    return path


def test_scores_asked_of_labels_are_refused_with_the_attacks_that_work(
    cli, nets, pictures, tmp_path
):
    command = ["attack", "--images", pictures, "--config", nets, "--out", tmp_path / "report"]
    result = cli(*command, "--oracle", "labels", "--attack", "square")
    refused(result, "rays")
    result = cli(*command, "--oracle", "number")
    refused(result, "must answer with a row of 0 and one 1")


def test_a_picture_with_nan_scores_is_an_error_and_the_rest_goes_on(cli, nets, pictures, tmp_path):
    Image.fromarray(np.full((8, 8, 3), 250, np.uint8)).save(pictures / "bright.png")
    out = tmp_path / "report"
    command = ["attack", "--images", pictures, "--config", nets, "--out", out]
    result = cli(*command, "--oracle", "blind", "--budget", 20)
    assert result.exit_code == 0, result.stderr
    assert "bright.png: " in result.stderr
    assert "of 6 images" in result.stdout


@pytest.mark.slow
def test_an_attack_in_a_latent_space_with_a_reference(cli, tmp_path):
    out = tmp_path / "report"
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8))
    command = ["attack", "--oracle", "cifar_cnn", "--images", tmp_path / "x.npy", "--device", "cpu"]
    command += ["--norm", "latent", "--reference", "cifar_vit", "--budget", 10, "--out", out]
    result = cli(*command)
    assert result.exit_code == 0, result.stderr
    assert "cma, latent 4: fooled" in result.stdout
    (summary,) = json.loads((out / "summary.json").read_text())["results"]
    assert summary["identity"]["reference"].startswith("cifar_vit, sees the true class in")
    refused(
        cli(*command, "--server", "localhost:1"), "--reference is for an attack in this process"
    )


def test_a_wanted_class_that_is_the_true_class_is_named(cli, toys, tmp_path):
    (tmp_path / "labels.txt").write_text("1\n" * 6)
    (tmp_path / "targets.txt").write_text("0\n" * 2 + "1\n" + "0\n" * 3)
    files = ["--labels", tmp_path / "labels.txt", "--targeted", tmp_path / "targets.txt"]
    result = cli(*toys, *files, "--out", tmp_path / "report")
    refused(result, "the wanted class of 2.png is its true class")


@pytest.mark.slow
def test_a_quota_that_ends_makes_a_partial_report_and_the_command_goes_on(
    cli, config, pictures, tmp_path
):
    out = tmp_path / "report"
    command = ["attack", "--oracle", "priced", "--images", pictures, "--config", config]
    command += ["--budget", 20, "--eps", "1/255", "--out", out]
    part = cli(*command)
    assert part.exit_code == 0, part.stderr
    assert "the quota is used up" in part.stderr
    assert "the attack is not complete; the same command goes on" in part.stderr
    (summary,) = json.loads((out / "summary.json").read_text())["results"]
    assert not summary["complete"]
    assert "partial" in (out / "index.html").read_text().lower()
    for _ in range(10):
        done = cli(*command)
        if "not complete" not in done.stderr:
            break
    (summary,) = json.loads((out / "summary.json").read_text())["results"]
    assert summary["complete"]


def test_without_options_the_command_says_what_it_expects(cli):
    result = cli("attack")
    assert result.exit_code != 0
    assert "--images" in result.stderr
    shown = cli("attack", "--help")
    assert "compare" in shown.stdout
    assert "--eps" in shown.stdout


def test_an_attack_on_a_server(cli, config, pictures, tmp_path):
    text = config.read_text() + '\n[generators.perturbation]\nkind = "perturbation"\n'
    text += 'inputs = "zoo:probe_images"\n'
    text = text.replace("[server]", f'[server]\naddress = "localhost:0"\nstore = "{tmp_path}/s"')
    config.write_text(text)
    out = tmp_path / "report"
    with running(load_config(config)) as address:
        command = ["attack", "--oracle", "toy", "--images", pictures, "--server", address]
        result = cli(*command, "--budget", 30, "--out", out)
        assert result.exit_code == 0, result.stderr
        assert (out / "index.html").is_file()
        with connect(address) as client:
            assert client.study("attack-search").progress().search_rows > 0
        unknown = cli("attack", "--oracle", "tyo", "--images", pictures, "--server", address)
        assert "toy" in unknown.stderr


@pytest.mark.slow
def test_ctrl_c_loses_nothing(spawn, config, pictures, tmp_path):
    command = ["attack", "--oracle", "slow", "--images", pictures, "--config", config]
    command += ["--budget", 60, "--eps", "2/255", "--out", tmp_path / "report"]
    stopped = spawn(*command)
    while "queries/s" not in (line := stopped.stderr.readline()) or "searching" not in line:
        assert stopped.poll() is None, line
    stopped.send_signal(signal.SIGINT)
    text = stopped.stderr.read()
    assert "nothing is lost" in text
    assert stopped.wait(20) == 130
    again = spawn(*command)
    assert again.wait(120) == 0, again.stderr.read()
    assert (tmp_path / "report" / "index.html").is_file()
