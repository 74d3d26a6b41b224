"""Wrappers that change what is seen or answered: repeat, noise, quantise, transform."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.measurement.noise import Noise
from blackbox_am.oracles.wrappers.measurement.quantise import Quantise
from blackbox_am.oracles.wrappers.measurement.repeat import Repeat
from blackbox_am.oracles.wrappers.measurement.transform import Transform

UNITS = [Unit("units", j) for j in range(10)]


@dataclass(frozen=True)
class Watched(Oracle):
    """A simulation that keeps what it was shown, and answers what `answers` says."""

    kind: ClassVar[str] = "watched"
    shape: tuple[int, ...] = (3, 8, 8)
    answers: tuple = ()
    shown: list = field(default_factory=list)

    def describe(self):
        return Simulated(self.shape).describe()

    def observe(self, stimuli, units):
        self.shown.append(stimuli)
        if self.answers:
            row = torch.tensor(self.answers[len(self.shown) - 1])
            return row.expand(len(stimuli), len(units))
        return Simulated(self.shape).observe(stimuli, units)


# repeat


def test_repeat_answers_with_the_mean_and_its_standard_error():
    numbers = np.array([1.0, 4.0, 2.0, 9.0], "f4")
    oracle = Repeat(Watched(answers=tuple([float(n)] for n in numbers)), 4)
    mean, error = oracle.observe_with_error(torch.rand(2, 3, 8, 8), UNITS[:1])
    assert mean.tolist() == [[4.0], [4.0]]
    torch.testing.assert_close(error[0, 0].item(), numbers.std(ddof=1) / 2)


def test_presentations_that_failed_are_left_out():
    answers = ([1.0, math.nan], [math.nan, math.nan], [3.0, math.nan], [5.0, 7.0])
    oracle = Repeat(Watched(answers=answers), 4)
    mean, error = oracle.observe_with_error(torch.rand(1, 3, 8, 8), UNITS[:2])
    assert mean.tolist() == [[3.0, 7.0]]
    torch.testing.assert_close(error[0, 0].item(), 2 / math.sqrt(3))
    assert error[0, 1].isnan(), "one presentation has no deviation"


def test_an_infinite_answer_makes_the_mean_infinite():
    oracle = Repeat(Watched(answers=([1.0], [math.inf], [3.0])), 3)
    mean, _ = oracle.observe_with_error(torch.rand(1, 3, 8, 8), UNITS[:1])
    assert mean.tolist() == [[math.inf]]


def test_repeat_makes_noise_smaller_by_the_root():
    x = torch.rand(300, 3, 8, 8)
    clean = Simulated().observe(x, UNITS)
    deviation = (Repeat(Simulated(noise=0.1), 9).observe(x, UNITS) / clean - 1).std()
    assert 0.031 < deviation < 0.036  # 0.1 / 3
    _, error = Repeat(Simulated(noise=0.1), 9).observe_with_error(x, UNITS)
    assert 0.030 < (error / clean).mean() < 0.034  # a little low, being the root of a mean


# noise


def test_noise_is_of_the_size_asked_for():
    x = torch.rand(400, 3, 8, 8)
    clean = Simulated().observe(x, UNITS)
    relative = Noise(Simulated(), multiplicative=0.2).observe(x, UNITS) / clean - 1
    assert abs(relative.mean()) < 0.02
    assert 0.19 < relative.std() < 0.21
    added = Noise(Simulated(), additive=0.3).observe(x, UNITS) - clean
    assert abs(added.mean()) < 0.03
    assert 0.29 < added.std() < 0.31


def test_poisson_noise_has_the_variance_of_counts():
    x = torch.rand(1, 3, 8, 8).expand(3000, -1, -1, -1)
    clean = Simulated().observe(x[:1], UNITS)[0]
    noisy = Noise(Simulated(), poisson=20.0).observe(x, UNITS)
    counts = noisy * 20
    torch.testing.assert_close(counts, counts.round(), atol=1e-4, rtol=0)
    torch.testing.assert_close(noisy.mean(0), clean, atol=0.02, rtol=0)
    torch.testing.assert_close(noisy.var(0) * 20, clean, atol=0.1, rtol=0)


def test_poisson_noise_takes_negative_and_failed_activations():
    inner = Watched(answers=([-1.0, math.nan, 2.0],))
    answer = Noise(inner, poisson=5.0).observe(torch.rand(2, 3, 8, 8), UNITS[:3])
    assert answer[:, 0].tolist() == [0.0, 0.0]
    assert answer[:, 1].isnan().all()
    assert answer[:, 2].isfinite().all()


def test_noise_can_be_repeated_and_differs_between_presentations():
    x = torch.rand(4, 3, 8, 8)
    one, two = Noise(Simulated(), additive=0.2), Noise(Simulated(), additive=0.2)
    first, second = one.observe(x, UNITS), one.observe(x, UNITS)
    assert torch.equal(two.observe(x.flip(0), UNITS[::-1]).flip(0, 1), first)
    assert not torch.equal(first, second)
    assert not torch.equal(Noise(Simulated(), additive=0.2, seed=1).observe(x, UNITS), first)


def test_noise_says_so():
    assert not Noise(Simulated(), additive=1.0).describe().deterministic
    climbable = Simulated(gradients=True)
    given = climbable.describe().capabilities
    assert Capability.GRADIENTS in given
    assert Noise(climbable, additive=1.0).describe().capabilities == given
    assert Noise(climbable, poisson=1.0).describe().capabilities == given & FORWARD
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    assert not Noise(climbable, poisson=1.0).observe(x, UNITS).requires_grad


# quantise


def test_quantise_shows_what_an_image_file_holds(tmp_path):
    inner = Watched((3, 16, 16))
    x = torch.rand(1, 3, 16, 16)
    Quantise(inner).observe(x, UNITS)
    pixels = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "x.png")
    loaded = np.asarray(Image.open(tmp_path / "x.png"), np.float32) / 255
    assert np.array_equal(inner.shown[0][0].permute(1, 2, 0).numpy(), loaded)


def test_quantise_clips_and_has_so_many_levels():
    inner = Watched((1, 40, 40))
    Quantise(inner, bits=3).observe(torch.linspace(-1, 2, 1600).reshape(1, 1, 40, 40), UNITS)
    levels = inner.shown[0].unique()
    torch.testing.assert_close(levels, torch.arange(8) / 7)


# transform


def images(height=8, width=8, rows=2):
    return torch.rand(rows, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_transform_turns_the_channels_around():
    inner = Watched()
    x = images()
    Transform(inner, channels="bgr").observe(x, UNITS)
    assert torch.equal(inner.shown[0], x[:, [2, 1, 0]])


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_the_brightness_that_pillow_computes(channels):
    inner = Watched((channels, 8, 8))
    x = (images() * 255).round() / 255
    Transform(inner, stimulus_shape=(3, 8, 8), channels="grey").observe(x, UNITS)
    for image, seen in zip(x, inner.shown[0], strict=True):
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        expected = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)
        assert seen.shape == (channels, 8, 8)
        for plane in seen:
            assert np.abs(plane.numpy() * 255 - expected).max() <= 0.51  # it rounds


@pytest.mark.parametrize(
    ("mode", "filter_"), [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)]
)
def test_resize_is_that_of_pillow(mode, filter_):
    inner = Watched((3, 6, 11))
    x = images(24, 20)
    Transform(inner, stimulus_shape=(3, 24, 20), resize=(6, 11), mode=mode).observe(x, UNITS)
    plane = Image.fromarray(x[0, 0].numpy()).resize((11, 6), filter_)
    expected = np.asarray(plane).clip(0, 1)
    np.testing.assert_allclose(inner.shown[0][0, 0].numpy(), expected, atol=2e-3)


def test_crop_and_pad_keep_the_middle():
    inner = Watched((3, 7, 8))
    x = images(10, 4)
    Transform(inner, stimulus_shape=(3, 10, 4), crop=(6, 4), pad=(7, 8), fill=0.5).observe(x, UNITS)
    seen = inner.shown[0]
    assert torch.equal(seen[:, :, 0:6, 2:6], x[:, :, 2:8])
    outside = seen.clone()
    outside[:, :, 0:6, 2:6] = 0.5
    assert (outside == 0.5).all()


def test_normalisation_is_the_last_step():
    inner = Watched()
    x = images()
    Transform(inner, channels="bgr", mean=(0.1, 0.2, 0.3), std=(2.0,)).observe(x, UNITS)
    mean = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(inner.shown[0], (x.flip(1) - mean) / 2)


def test_transform_takes_the_shape_it_was_told_and_no_other():
    oracle = Transform(Watched(), stimulus_shape=(3, 32, 32), resize=(8, 8))
    assert oracle.describe().stimulus_shape == (3, 32, 32)
    with pytest.raises(ShapeMismatch, match=r"\(N, 3, 32, 32\), got \(1, 3, 8, 8\)"):
        oracle.observe(images(rows=1), UNITS)


def test_gradients_pass_through_a_transform():
    oracle = Transform(
        Simulated(gradients=True), stimulus_shape=(3, 16, 16), resize=(8, 8), mean=(0.1,)
    )
    x = images(16, 16).requires_grad_()
    (slopes,) = torch.autograd.grad(oracle.observe(x, UNITS[:1]).sum(), x)
    step = 1e-3 * slopes / slopes.norm()
    with torch.no_grad():
        rise = (oracle.observe(x + step, UNITS[:1]) - oracle.observe(x - step, UNITS[:1])).sum()
    torch.testing.assert_close(rise / 2e-3, slopes.norm(), rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"stimulus_shape": (3, 9, 9)}, r"become \(3, 9, 9\), the model takes \(3, 8, 8\)"),
        ({"crop": (9, 9)}, r"at most the image's \(8, 8\)"),
        ({"pad": (4, 4)}, r"at least the image's \(8, 8\)"),
        ({"mean": (1.0, 2.0)}, "1 or 3 numbers"),
        ({"stimulus_shape": (2, 8, 8), "channels": "grey"}, "1 or 3 for grey"),
    ],
)
def test_a_transform_that_does_not_fit_is_refused_when_it_is_described(parameters, words):
    oracle = Transform(Watched(), **parameters)
    with pytest.raises(InvalidSpec, match=words):
        oracle.describe()


def test_only_images_are_transformed():
    with pytest.raises(InvalidSpec, match=r"images .* stimuli of shape \(5,\)"):
        Transform(Watched((5,))).describe()


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        ("repeat", {"presentations": 0}, "presentations"),
        ("noise", {}, "multiplicative"),
        ("noise", {"additive": -1.0}, "additive"),
        ("noise", {"poisson": float("inf")}, "poisson"),
        ("quantise", {"bits": 0}, "bits"),
        ("quantise", {"bits": 17}, "bits"),
        ("transform", {"stimulus_shape": [3, 8]}, "stimulus_shape"),
        ("transform", {"resize": [8]}, "resize"),
        ("transform", {"mode": "area"}, "mode"),
        ("transform", {"channels": "rgb"}, "channels"),
        ("transform", {"fill": 2.0}, "fill"),
        ("transform", {"std": [0.0]}, "std"),
    ],
)
def test_bad_numbers_are_named(kind, parameters, field):
    with pytest.raises(InvalidSpec, match=field):
        plugins.wrap(Simulated(), kind, parameters)


# Composition


def test_the_first_in_the_list_is_innermost():
    tables = {
        "kind": "simulated",
        "wrap": [{"kind": "noise", "additive": 0.1}, {"kind": "repeat", "presentations": 2}],
    }
    oracle = Catalogue.from_plain({"oracles": {"mine": tables}}).oracle("mine")
    assert oracle == Repeat(Noise(Simulated(), additive=0.1), 2)
    assert tables["wrap"][0]["kind"] == "noise", "the operator's table is left alone"


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        ({"kind": "cache"}, r"expected wrap to be a list of tables, \[\[oracles.a.wrap\]\]"),
        ([{"path": "x"}], r"\[oracles.a.wrap\] must be a table with a kind"),
        ([{"kind": "reapet"}], "did you mean 'repeat'"),
        ([{"kind": "simulated"}], "no wrapper is called 'simulated'"),
    ],
)
def test_a_wrong_wrap_is_said_at_once(wrap, words):
    with pytest.raises(InvalidSpec, match=words):
        Catalogue.from_plain({"oracles": {"a": {"kind": "simulated", "wrap": wrap}}})


def test_a_wrong_parameter_of_a_wrap_is_said_when_it_is_built():
    wrap = [{"kind": "repeat", "presentation": 3}]
    catalogue = Catalogue.from_plain({"oracles": {"a": {"kind": "simulated", "wrap": wrap}}})
    with pytest.raises(InvalidSpec, match="did you mean 'presentations'"):
        catalogue.oracle("a")


def test_metered_and_identity_pass_through():
    class Paid(Simulated):
        billable = True

    assert Quantise(Repeat(Paid())).billable
    assert not Quantise(Repeat(Simulated())).billable
    assert Quantise(Simulated()).fingerprint().parameters["inner.kind"] == "simulated"
    assert Quantise(Simulated()).fingerprint() != Quantise(Simulated(), bits=7).fingerprint()
    assert Simulated(seed=1).fingerprint() != Simulated(seed=2).fingerprint()
