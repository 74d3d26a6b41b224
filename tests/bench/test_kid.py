"""The benchmark of the kernel inception distance."""

import json

import numpy as np
import pytest
import torch

from blackbox_am.bench import kid
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.generators.parametric.pixels import Pixels


def test_pictures_are_samples_of_the_prior_and_reproducible():
    generator = Pixels((1, 2, 2))
    drawn = kid.draw(generator, 250)
    assert drawn.shape == (250, 1, 2, 2)
    assert torch.equal(drawn, kid.draw(generator, 250))
    latents = generator.space.sample(Stream(0, "kid", 0), 250)[0]
    assert torch.equal(drawn.flatten(1), latents)


@pytest.fixture
def assets(tmp_path):
    draw = np.random.default_rng(0)
    for file in (kid.TEST_FILE, kid.TRAIN_FILE):
        x = draw.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        np.savez(tmp_path / file, x=x, y=np.arange(40) % 10)
    return tmp_path


def test_the_distance_separates_noise_from_generated_pictures(assets, monkeypatch, capsys):
    # The natural pictures of this test are noise; a second net is not needed for that.
    monkeypatch.setattr(kid, "resnet_features", lambda folder: lambda x: x.amax((2, 3)))
    out, page = assets / "kid.json", assets / "page.md"
    page.write_text(
        "<!-- begin: blackbox-am bench kid, kid -->\n<!-- end: blackbox-am bench kid, kid -->"
    )
    said = []
    kid.run(["pixels_32", "sngan"], assets, 40, page, out, said.append)
    rows = {row["name"]: row["kids"] for row in json.loads(out.read_text())}
    assert list(rows) == ["training pictures", "pixels_32", "sngan"]
    for net in ("ViT", "ResNet-20"):
        assert abs(rows["pixels_32"][net]["value"]) < abs(rows["sngan"][net]["value"]) / 5
    assert len(said) == 3
    assert "| pixels_32 |" in page.read_text()
    assert "KID x 1000 of 40 pictures" in capsys.readouterr().out


def test_generators_of_other_stimuli_are_refused(assets):
    with pytest.raises(InvalidInput, match=r"cbf_vae makes stimuli of shape \(1, 128\)"):
        kid.run(["cbf_vae"], assets, 40, None, None, print)


def test_missing_pictures_and_weights_are_named(assets, tmp_path_factory):
    with pytest.raises(NotFound, match=r"cifar10_resnet20\.safetensors"):
        kid.run(["sngan"], assets, 40, None, None, print)
    with pytest.raises(NotFound, match=r"cifar10_test_1000\.npz"):
        kid.run(["sngan"], tmp_path_factory.mktemp("empty"), 40, None, None, print)
