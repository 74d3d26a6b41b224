"""A real attack over HTTP: inputs, changes and their sizes are those of its result."""

import io
from dataclasses import replace

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from blackbox_am.attacks.asked import Asked
from blackbox_am.attacks.results import Outcome
from blackbox_am.client import connect
from blackbox_am.client.attacks import attack
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.service import load_config, running
from blackbox_am.testing.gateway import GatewayProcess
from tests.gateway.schemas import OPENAPI, check

SHAPE = (3, 8, 8)
IMAGES = np.random.default_rng(1).integers(0, 256, (6, *SHAPE), np.uint8)


@pytest.fixture(scope="module")
def attacked(folder, tmp_path_factory):
    """The result of an attack with the labels of which the first is wrong, and its HTTP API."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(SHAPE)), 4)).eval()
    config = replace(load_config(folder / "models.toml"), address="localhost:0", store=":memory:")
    config.catalogue.add_oracle("linear", TorchModule(module, stimulus_shape=SHAPE))
    with torch.no_grad():
        labels = module(torch.from_numpy(IMAGES).float() / 255).argmax(1).numpy()
    labels[0] = (labels[0] + 1) % 4
    with running(config) as address, connect(address) as client:
        asked = Asked(budget=200, eps=6 / 255, seed=3, labels=labels)
        result = attack(client, oracle="linear", images=IMAGES, asked=asked)
        folder = tmp_path_factory.mktemp("attacked")
        with (
            GatewayProcess(folder, address) as gateway,
            httpx.Client(base_url=gateway.url, timeout=30) as http,
        ):
            yield result, http


def shown(http, target, name):
    answer = http.get(f"/api/studies/attack-search/targets/{target}/{name}.png?size=8")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))).transpose(2, 0, 1).astype(int)


def test_each_target_has_its_own_input_and_change(attacked):
    result, http = attacked
    assert any(row.outcome is Outcome.SUCCESS for row in result.inputs)
    targets = http.get("/api/studies/attack-search").json()["targets"]
    assert len(targets) == 5
    for target in range(5):
        row = target + 1  # the first input is classified wrongly, and not attacked
        assert (shown(http, target, "input") == IMAGES[row]).all()
        assert (shown(http, target, "best") == result.adversarial[row]).all()
        change = result.adversarial[row].astype(int) - IMAGES[row]
        expected = 127.5 + 127.5 * change / np.abs(change).max()
        assert np.abs(shown(http, target, "change") - expected).max() <= 1
        best = http.get(f"/api/studies/attack-search/targets/{target}/best.json").json()
        check(best, {"$ref": "#/components/schemas/Best"})
        assert best["change"]["input"] == row
        for norm, distance in result.inputs[row].distances.items():
            assert best["change"][norm] == pytest.approx(distance)
        fooled = result.inputs[row].outcome is Outcome.SUCCESS
        assert (targets[target]["success_row"] is not None) == fooled
        assert (targets[target]["stop_reason"] == "success") == fooled


def test_pictures_are_asked_for_again_with_their_tags(attacked):
    _, http = attacked
    tags = set()
    for name in ("input", "change"):
        for target in range(5):
            path = f"/api/studies/attack-search/targets/{target}/{name}.png"
            tag = http.get(path).headers["etag"]
            assert http.get(path, headers={"if-none-match": tag}).status_code == 304
            tags.add(tag)
    assert len(tags) == 10


@pytest.mark.parametrize("name", ["input", "change"])
def test_what_there_is_not(http, study, attacked, name):
    answer = http.get(f"/api/studies/ended/targets/0/{name}.png")
    assert answer.status_code == 404
    assert "brings no inputs" in answer.json()["error"]["message"]
    _, there = attacked
    answer = there.get(f"/api/studies/attack-search/targets/5/{name}.png")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "target")


def test_the_description_has_the_change():
    assert "change" in OPENAPI["components"]["schemas"]["Best"]["required"]
