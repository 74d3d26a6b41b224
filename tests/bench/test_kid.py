"""The kernel inception distance, compared with a library's kernel and with known results."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from blackbox_am.bench import kid
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.generators.parametric.pixels import Pixels


def sets(n=60, m=50, d=12, shift=0.0):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64)
    return x, torch.randn(m, d, generator=draw, dtype=torch.float64) + shift


def test_the_distance_is_that_of_a_librarys_kernel():
    x, y = sets(shift=0.3)
    a, b = x.numpy(), y.numpy()
    # scikit-learn's defaults are the kernel of the paper: (x.y / d + 1)^3.
    kxx, kyy, kxy = polynomial_kernel(a), polynomial_kernel(b), polynomial_kernel(a, b)
    n, m = kxy.shape
    wanted = (
        (kxx.sum() - np.trace(kxx)) / (n * (n - 1))
        + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
        - 2 * kxy.mean()
    )
    assert kid.distance(x, y).value == pytest.approx(wanted, rel=1e-12)


def test_the_error_is_the_jackknife_estimate():
    x, y = sets(9, 7, 3, 0.4)

    def value(a, b):
        return kid.squared_discrepancy(kid.kernel(a, a), kid.kernel(b, b), kid.kernel(a, b))

    variance = 0.0
    for n, without in (
        (9, [value(torch.cat([x[:i], x[i + 1 :]]), y) for i in range(9)]),
        (7, [value(x, torch.cat([y[:i], y[i + 1 :]])) for i in range(7)]),
    ):
        variance += (n - 1) / n * float(np.square(np.array(without) - np.mean(without)).sum())
    assert kid.distance(x, y).error == pytest.approx(variance**0.5, rel=1e-9)


def test_the_estimate_is_unbiased():
    # Over many pairs of small sets of one distribution the mean is 0, which a biased estimate,
    # always above it, could not be.
    found = []
    for seed in range(400):
        draw = torch.Generator().manual_seed(seed)
        x, y = (torch.randn(6, 3, generator=draw, dtype=torch.float64) for _ in range(2))
        found.append(kid.squared_discrepancy(kid.kernel(x, x), kid.kernel(y, y), kid.kernel(x, y)))
    assert min(found) < 0
    assert abs(np.mean(found)) < 4 * np.std(found) / 20


def test_sets_that_differ_more_are_further_apart():
    values = [kid.distance(*sets(shift=shift)).value for shift in (0.0, 0.3, 0.6)]
    assert values[0] < values[1] < values[2]
    assert kid.distance(*sets()).low < 0 < kid.distance(*sets()).high


def test_the_standard_error_agrees_with_repeats():
    values, errors = [], []
    for seed in range(80):
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(80, 6, generator=draw)
        y = torch.randn(80, 6, generator=draw) * 1.2 + 0.5
        found = kid.distance(x, y)
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(3, 2), torch.zeros(9, 2)),
        (torch.zeros(9, 2), torch.zeros(9, 3)),
        (torch.zeros(9), torch.zeros(9)),
    ],
)
def test_sets_that_do_not_fit_are_refused(x, y):
    with pytest.raises(InvalidInput, match="at least 4 rows of the same width"):
        kid.distance(x, y)


def test_features_that_are_not_finite_are_refused():
    x, y = sets()
    x[3, 4] = torch.nan
    with pytest.raises(InvalidInput, match="finite"):
        kid.distance(x, y)


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
