"""The examples run and print their results."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import blackbox_am
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.units import Unit
from blackbox_am.testing.json_api import json_api
from tests import forked

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from blackbox_am.service import Config, running

    store = tmp_path_factory.mktemp("server") / "studies.sqlite3"
    with running(Config(address="127.0.0.1:0", store=str(store))) as address:
        with blackbox_am.connect(address, timeout=100) as client:
            client.units("cifar_cnn")  # the server loads its models now, and not in an example,
            latents = client.sample("cifar_vae", 1)
            client.render("cifar_vae", latents)  # which waits 30 s for an answer
        yield address


def _run(name, *options):
    (path,) = [path for path in EXAMPLES if path.stem.endswith(name)]
    return forked.run([sys.executable, str(path), *map(str, options)], timeout=600).stdout


def _is_picture(path):
    return np.asarray(Image.open(path)).std() > 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short_and_says_how_to_run_it(path):
    text = path.read_text()
    assert len(text.splitlines()) < 60
    assert f"python examples/{path.name}" in text


def test_there_are_six_examples():
    assert [path.stem[:2] for path in EXAMPLES] == ["01", "02", "03", "04", "05", "06"]


def test_which_inputs_matter(tmp_path):
    said = _run("which_inputs_matter", "--samples", 64, "--out", tmp_path)
    assert "bmi: 0." in said
    assert "R^2" in said
    assert (tmp_path / "analysis.html").is_file()


def test_maximise_here(tmp_path):
    picture = tmp_path / "here.png"
    said = _run("maximise_here", "--queries", 36, "--out", picture)
    assert "head:3: " in said
    assert "layer3:77: " in said
    assert "72 queries" in said
    assert _is_picture(picture)


def test_watch_remotely(server):
    said = _run("watch_remotely", "--server", server, "--queries", 54)
    assert [line.split(":")[0] for line in said.splitlines() if "generation" in line] == [
        "generation 0",
        "generation 1",
        "generation 2",
    ]
    assert "head:8: " in said
    assert "(3, 32, 32)" in said


def test_your_own_model(server, tmp_path):
    picture = tmp_path / "forest.png"
    said = _run("your_own_model", "--server", server, "--queries", 600, "--out", picture)
    votes = [int(line.split(": ")[1].split("%")[0]) for line in said.splitlines()[:10]]
    # The best of 2,000 random images gets 20 to 44 % of the trees.
    assert np.mean(votes) > 45
    assert _is_picture(picture)


def test_attack_an_api(tmp_path):
    model = Catalogue.default().oracle("cifar_cnn")
    (layer,) = [layer for layer in model.describe().layers if layer.name == "output"]
    units = [Unit("output", index) for index in range(10)]

    def answer(request):
        picture = Image.open(io.BytesIO(base64.b64decode(request["image"])))
        stimulus = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        scores = model.observe(stimulus, units).softmax(1)[0]
        best = scores.argsort(descending=True)[:5].tolist()
        return {
            "classes": [
                {"name": layer.labels[i], "score": round(scores[i].item(), 2)} for i in best
            ]
        }

    with json_api(answer) as address:
        options = ("--url", f"http://{address}/classify", "--images", 3, "--queries", 25)
        said = _run("attack_an_api", *options, "--out", tmp_path)
    assert "signhunter: " in said
    assert "pictures were sent" in said
    assert (tmp_path / "index.html").is_file()


@pytest.mark.slow
def test_compare(tmp_path):
    said = _run("compare", "--budget", 40, "--seeds", 1, "--out", tmp_path)
    lines = said.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == ["adam", "sep_cma", "auto", "random"]
    assert lines[0].endswith("20 rows")
    assert "not kept: 2 units of 2 layers" in said
    assert (tmp_path / "report.html").is_file()
