"""fourier, dct, maco and cppn: against numpy, scipy and the formulas themselves."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import fft

from blackbox_am.core.generator import Generator
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.parametric._magnitudes import fitted_to
from blackbox_am.generators.parametric._planes import colour_matrix
from blackbox_am.generators.parametric._spectrum import Waves
from blackbox_am.generators.parametric.cppn import CPPN
from blackbox_am.generators.parametric.dct import DCT
from blackbox_am.generators.parametric.fourier import Fourier
from blackbox_am.generators.parametric.maco import Maco, probe_magnitudes
from blackbox_am.testing.generators import latents_for
from blackbox_am.zoo import loading

ALL = 1e6
"""Cycles per image above every frequency."""
SIZES = [(6, 8), (7, 5), (8, 7), (5, 6), (1, 9), (4, 1)]


def planes_of(generator: Generator, latents: torch.Tensor) -> np.ndarray:
    """Planes before colours (which must be independent) and sigmoid, in double precision."""
    return torch.logit(generator.render(latents).double()).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_there_are_as_many_coefficients_as_pixels_and_none_says_the_same_twice(
    size: tuple[int, int],
) -> None:
    generator = Fourier((1, *size), ALL, decay=0, contrast=1.0, colours="independent")
    assert generator.space.dim == math.prod(size)
    # Without weights the map from latents to planes is a rotation.
    made = planes_of(generator, torch.eye(generator.space.dim)).reshape(generator.space.dim, -1)
    np.testing.assert_allclose(made @ made.T, np.eye(len(made)), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cycles", [ALL, 2.0])
def test_planes_are_those_of_numpys_whole_spectrum(size: tuple[int, int], cycles: float) -> None:
    height, width = size
    generator = Fourier((2, *size), cycles, decay=1.5, contrast=0.7, colours="independent")
    latents = latents_for(generator, 3)
    waves = Waves.of(height, width)
    count = int((waves.frequencies * max(size) <= cycles + 1e-6).sum())
    places, paired = waves.places[:count].tolist(), waves.paired[:count].tolist()
    shaped = latents.double().reshape(3, 2, -1).numpy()
    spectrum = np.zeros((3, 2, height, width), complex)
    part = count
    energy = 0.0
    for i, ((ky, kx), pair) in enumerate(zip(places, paired, strict=True)):
        f = max(math.hypot(np.fft.fftfreq(height)[ky], kx / width), 1 / max(size))
        amplitude = f**-1.5
        energy += (2 if pair else 1) * amplitude**2
        if not pair:
            spectrum[:, :, ky, kx] = amplitude * shaped[:, :, i]
            continue
        number = amplitude * (shaped[:, :, i] + 1j * shaped[:, :, part]) / math.sqrt(2)
        part += 1
        spectrum[:, :, ky, kx] = number
        spectrum[:, :, -ky % height, -kx % width] = number.conj()
    expected = np.fft.ifft2(spectrum, norm="ortho") * 0.7 / math.sqrt(energy / (height * width))
    assert np.abs(expected.imag).max() < 1e-12
    np.testing.assert_allclose(planes_of(generator, latents), expected.real, atol=1e-5)


def test_frequencies_come_in_order_and_contrast_is_what_it_says() -> None:
    waves = Waves.of(16, 16)
    assert (waves.frequencies.diff() >= 0).all()
    assert waves.places[0].tolist() == [0, 0]
    for cycles in (ALL, 4.0):
        generator = Fourier((1, 16, 16), cycles, contrast=1.3)
        made = planes_of(generator, latents_for(generator, 2000))
        assert math.sqrt((made**2).mean()) == pytest.approx(1.3, rel=0.03)


@pytest.mark.parametrize("build", [Fourier, DCT, Maco])
def test_the_dimension_does_not_grow_with_the_picture(build) -> None:
    """At each size the latents mean the same waves, in cycles per image."""
    small, large = build((3, 64, 64)), build((3, 192, 192))
    assert 200 <= small.space.dim == large.space.dim <= 2000
    if build is Maco:  # a large picture has more frequencies of fixed phase
        return
    latents = latents_for(small, 3)
    # Points of `fourier` stand at the corners of pixels, those of `dct` in their middles.
    first = 1 if build is DCT else 0
    there = large.render(latents)[:, :, first::3, first::3]
    torch.testing.assert_close(there, small.render(latents), atol=0.02, rtol=0)


@pytest.mark.parametrize("build", [Fourier, DCT])
@pytest.mark.parametrize("size", [(16, 12), (9, 15)])
@pytest.mark.parametrize("cycles", [None, ALL])
def test_latents_come_back_from_their_images(build, size, cycles: float | None) -> None:
    generator = build((3, *size), cycles, contrast=0.5)
    latents = latents_for(generator)
    torch.testing.assert_close(
        generator.encode(generator.render(latents)), latents, atol=1e-3, rtol=1e-3
    )


def test_probe_magnitudes_go_on_by_their_law_and_are_not_stretched() -> None:
    """Stretched images have almost no magnitude above their own frequencies, at 16 cycles."""
    found = probe_magnitudes(3, 128, 128)
    ky = torch.fft.fftfreq(128, 1 / 128).abs()[:, None].expand(128, 65)
    f = torch.hypot(ky, torch.arange(65)[None])
    rings = torch.stack([found[0][(f >= r) & (f < 1.2 * r)].mean() for r in (13, 18, 26, 50)])
    slopes = (rings[1:] / rings[:-1]).log() / torch.tensor([18 / 13, 26 / 18, 50 / 26]).log()
    assert (slopes < -0.5).all()
    assert (slopes > -2.5).all()
    torch.testing.assert_close(found[:, :10, :10], probe_magnitudes(3, 32, 32)[:, :10, :10])


def test_colours_are_lucids() -> None:
    matrix = colour_matrix(3, "decorrelated")
    assert float(matrix[0, 0]) == pytest.approx(0.26 / 0.46195, rel=1e-4)
    latents = latents_for(Fourier((3, 8, 6)), 4)
    plain = planes_of(Fourier((3, 8, 6), colours="independent"), latents)
    mixed = planes_of(Fourier((3, 8, 6)), latents)
    expected = np.einsum("ij,njhw->nihw", matrix.double().numpy(), plain)
    np.testing.assert_allclose(mixed, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 7, 12), (1, 1, 9)])
@pytest.mark.parametrize("limit", [ALL, 1.3])
def test_dct_is_scipys(shape: tuple[int, int, int], limit: float) -> None:
    generator = DCT(shape, limit, decay=1.0, contrast=0.8, colours="independent")
    latents = latents_for(generator, 3)
    made = planes_of(generator, latents)
    coefficients = fft.dctn(made, axes=(2, 3), norm="ortho")
    _, height, width = shape
    cycles = np.hypot(
        np.arange(height)[:, None] / (2 * height), np.arange(width)[None] / (2 * width)
    )
    below = int((cycles * max(shape[1:]) <= limit + 1e-6).sum())
    order = np.argsort(cycles.ravel(), kind="stable")[:below]
    assert generator.space.dim == shape[0] * below
    amplitudes = 1 / np.maximum(cycles.ravel()[order], 1 / (2 * max(shape[1:])))
    amplitudes *= 0.8 / math.sqrt((amplitudes**2).sum() / (height * width))
    flat = coefficients.reshape(3, shape[0], -1)
    expected = latents.double().reshape(3, shape[0], -1).numpy() * amplitudes
    np.testing.assert_allclose(flat[:, :, order], expected, atol=2e-5)
    rest = np.delete(flat, order, axis=2)
    assert np.abs(rest).max(initial=0) < 1e-5


def test_clip_is_the_tangent_of_the_sigmoid() -> None:
    smooth, cut = DCT((1, 8, 8), 1.2), DCT((1, 8, 8), 1.2, squash="clip")
    small = 0.01 * latents_for(smooth)
    torch.testing.assert_close(smooth.render(small), cut.render(small), atol=1e-5, rtol=0)
    assert cut.render(100 * small).unique().tolist()[0] == 0.0


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 9, 12), (3, 8, 7)])
@pytest.mark.parametrize("cycles", [2.5, ALL])
def test_magnitudes_hold_in_the_planes(shape: tuple[int, int, int], cycles: float) -> None:
    generator = Maco(shape, cycles, contrast=1.2)
    made = generator.planes(latents_for(generator, 4))
    found = torch.fft.rfft2(made.double(), norm="ortho").abs()
    wanted = probe_magnitudes(*shape)
    wanted[:, 0, 0] = 0
    scale = float(found[0].norm() / wanted.norm())
    interior = slice(1, (shape[2] + 1) // 2)
    for columns in (interior, slice(None)):  # in all columns, where each pair is filled in
        difference = found[..., columns] / scale - wanted[..., columns]
        assert float(difference.abs().max() / wanted.max()) < 1e-6
    deviation = made.double().square().mean(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(deviation, torch.full_like(deviation, 1.2), rtol=1e-5, atol=0)
    assert made.mean(dim=(2, 3)).abs().max() < 1e-5


def test_a_phase_is_the_direction_of_its_pair() -> None:
    generator = Maco((1, 8, 8), 1.5)  # (0, 1), (1, 0), (1, 1) and (1, -1)
    latents = latents_for(generator)
    made = generator.planes(latents)
    torch.testing.assert_close(generator.planes(7.0 * latents), made)
    waves = Waves.of(8, 8).pairs()
    ky, kx = waves.places[2].tolist()
    angle = torch.atan2(latents[:, 4 + 2], latents[:, 2])
    found = torch.fft.rfft2(made[:, 0])[:, ky, kx].angle()
    assert torch.cos(found - angle).min() > 1 - 1e-5


def test_pairs_without_direction_mean_phase_0_and_have_no_gradient() -> None:
    generator = Maco((1, 8, 8), 1.5)
    nowhere = torch.zeros(1, generator.space.dim, requires_grad=True)
    upright = torch.cat([torch.ones(1, 4), torch.zeros(1, 4)], dim=1)
    made = generator.render(nowhere)
    assert torch.equal(made, generator.render(upright))
    made.sum().backward()
    assert (nowhere.grad == 0).all()


def test_phases_that_are_not_searched_are_fixed_by_the_seed() -> None:
    latents = latents_for(Maco(cycles=3.5))
    spectra = torch.fft.rfft2(Maco(cycles=3.5).planes(latents))
    high = torch.fft.rfft2(Maco(cycles=3.5, seed=1).planes(latents))
    assert (spectra[0] - spectra[1]).abs()[:, 10:20, 10:16].max() < 1e-4
    assert (spectra[0] - high[0]).abs()[:, 10:20, 10:16].max() > 0.1
    luminance = Maco(cycles=3.5, luminance=True)
    assert luminance.space.dim * 3 == Maco(cycles=3.5).space.dim
    one = luminance.planes(latents_for(luminance))
    assert torch.equal(one[0, 1:], one[1, 1:])
    assert not torch.equal(one[0, 0], one[1, 0])


def test_magnitudes_come_from_files(tmp_path: Path) -> None:
    magnitudes = np.random.default_rng(0).random((2, 6, 4)).astype(np.float32)
    np.save(tmp_path / "m.npy", magnitudes)
    generator = Maco((2, 6, 6), ALL, magnitude=str(tmp_path / "m.npy"))
    found = torch.fft.rfft2(generator.planes(latents_for(generator, 1)))[0].abs()
    # The last row's pairs say what the columns 0 and W/2 hold; inside, it is as in the file.
    ratio = found[:, :, 1:3] / torch.tensor(magnitudes[:, :, 1:3])
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))
    with pytest.raises(
        InvalidSpec, match=r"of shape \(1, height, width // 2 \+ 1\), got \(2, 6, 4\)"
    ):
        Maco((1, 6, 6), 1.0, magnitude=str(tmp_path / "m.npy")).render(torch.zeros(1, 4))
    np.save(tmp_path / "m.npy", -magnitudes)
    with pytest.raises(InvalidSpec, match="0 or more"):
        Maco((2, 6, 6), 1.0, magnitude=str(tmp_path / "m.npy")).render(torch.zeros(1, 8))
    with pytest.raises(NotFound, match="no file"):
        Maco((2, 6, 6), 1.0, magnitude="nothing.npy").render(torch.zeros(1, 8))


def spectra(images: torch.Tensor) -> torch.Tensor:
    """(C, H, W // 2 + 1) mean magnitudes, frequency 0 left out."""
    found = torch.fft.rfft2(images.double()).abs().mean(0)
    found[:, 0, 0] = 0
    return found


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Length of the difference over the length of `wanted`, `found` scaled as is best."""
    scale = (found * wanted).sum() / found.square().sum()
    return float((scale * found - wanted).norm() / wanted.norm())


@pytest.fixture(scope="module")
def natural() -> torch.Tensor:
    """(200, 3, 32, 32)."""
    return torch.from_numpy(loading.probe_images()[0]).permute(0, 3, 1, 2) / 255.0


def test_magnitudes_of_larger_images_are_those_of_reduced_ones(natural: torch.Tensor) -> None:
    """Measured: they differ by 3.2 % of their length, as means over areas blur a little, and by
    4.5 % at 8 x 8; read off at cycles per pixel instead, by 12 % and 19 %.
    """
    whole = spectra(natural)
    for size, bound in ((16, 0.04), (8, 0.055)):
        reduced = spectra(torch.nn.functional.avg_pool2d(natural, 32 // size))
        assert difference(fitted_to(whole, size, size), reduced) < bound
        step = 32 // size
        assert difference(whole[:, ::step, ::step], reduced) > 0.1


def test_magnitudes_of_smaller_images_go_on_by_their_law(natural: torch.Tensor) -> None:
    """Measured: 13 % off, 22 % with zeros beyond, where the median ratio to the truth is 1.39."""
    whole = spectra(natural)
    larger = fitted_to(spectra(torch.nn.functional.avg_pool2d(natural, 2)), 32, 32)
    assert difference(larger, whole) < 0.14
    known = torch.zeros(32, 17, dtype=torch.bool)
    known[torch.fft.fftfreq(32, 1 / 32).abs() <= 8, :9] = True
    assert difference(larger * known, whole) > 0.2
    assert (larger[:, ~known] > 0).all()
    # Four times as many pixels, four times the sum; the images themselves are weaker than the law
    # at their own highest frequencies.
    assert (4 * larger / whole)[:, ~known].median() == pytest.approx(1.39, abs=0.2)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.7])
def test_a_law_is_found_again_at_any_size(exponent: float) -> None:
    def law(height: int, width: int) -> torch.Tensor:
        ky = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64)[:, None]
        f = torch.hypot(ky, torch.arange(width // 2 + 1).double()[None])
        f[0, 0] = 1.0
        return torch.stack([f**-exponent, 3 * f**-exponent])

    for given, wanted in (((16, 16), (32, 32)), ((16, 16), (21, 40)), ((33, 17), (16, 9))):
        found = fitted_to(law(*given), *wanted)
        torch.testing.assert_close(found, law(*wanted))
    same = law(16, 16)
    assert fitted_to(same, 16, 17) is same


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 32, 32), (3, 24, 40)])
def test_files_of_magnitudes_of_another_size(shape: tuple[int, int, int], tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    np.save(path, probe_magnitudes(3, 32, 32).numpy())
    generator = Maco(shape, 3.0, contrast=1.2, magnitude=str(path))
    latents = latents_for(generator)
    made = generator.planes(latents).double()
    deviation = made.square().mean(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(deviation, torch.full_like(deviation, 1.2), rtol=1e-5, atol=0)
    assert (torch.fft.rfft2(made).abs()[:, :, 1:, 1:-1] > 0).all()
    if shape == (3, 32, 32):  # nothing changes, to the bit
        assert torch.equal(
            generator.render(latents), Maco(shape, 3.0, contrast=1.2).render(latents)
        )


def test_files_that_hold_no_half_of_a_spectrum(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    generator = Maco((1, 8, 8), 1.5, magnitude=str(path))
    image = np.random.default_rng(0).random((1, 8, 8))
    np.save(path, np.abs(np.fft.fft2(image)))
    with pytest.raises(InvalidSpec, match=r"half of a spectrum, .* got a whole one of 8 columns"):
        generator.render(torch.zeros(1, 8))
    only_high = np.zeros((1, 16, 9))
    only_high[:, 8] = 1.0
    np.save(path, only_high)
    with pytest.raises(InvalidSpec, match="some above 0 within 8 x 8 frequencies"):
        generator.render(torch.zeros(1, 8))


def test_a_network_draws_what_its_weights_say() -> None:
    generator = CPPN((1, 3, 5), width=4, layers=1, gain=2.0, contrast=1.5)
    assert generator.space.dim == 4 * 3 + 4 + 1 * 4 + 1
    latent = latents_for(generator, 1)
    numbers = latent[0].double().numpy()
    first, bias, last, offset = numbers[:12], numbers[12:16], numbers[16:20], numbers[20]
    for row, column in ((0, 0), (1, 2), (2, 3)):
        x, y = (2 * column - 4) / 5, (2 * row - 2) / 5
        sums = first.reshape(4, 3) @ (x, y, math.hypot(x, y)) * 2 / math.sqrt(3) + bias
        hidden = [
            math.sin(sums[0]),
            math.sin(sums[1]),
            math.exp(-(sums[2] ** 2)),
            math.tanh(sums[3]),
        ]
        expected = 1 / (1 + math.exp(-(last @ hidden * 1.5 / 2 + offset)))
        found = float(generator.render(latent)[0, 0, row, column])
        assert found == pytest.approx(expected, abs=1e-5)


def test_a_network_draws_the_same_at_any_resolution() -> None:
    small, large = CPPN((3, 10, 14)), CPPN((3, 30, 42))
    latents = latents_for(small)
    torch.testing.assert_close(
        large.render(latents)[:, :, 1::3, 1::3], small.render(latents), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Fourier((32, 32)), "shape: expected"),
        (lambda: Fourier(contrast=0.0), "contrast: expected a positive"),
        (lambda: Fourier(colours="lab"), "colours: expected decorrelated"),
        (lambda: Fourier(decay=-1), "decay: expected 0 to 10"),
        (lambda: Fourier(cycles=0.0), "cycles: expected a positive number"),
        (lambda: DCT(cycles=-1.0), "cycles: expected a positive number"),
        (lambda: DCT(squash="tanh"), "squash: expected sigmoid or clip"),
        (lambda: Maco((1, 2, 2)), "sides of 3 or more"),
        (lambda: Maco((1, 4, 4), 0.5), "cycles: expected 1 or more"),
        (lambda: Maco((2, 8, 8), 5), "the probe images have 1 or 3 channels"),
        (lambda: CPPN(width=2), "width: expected 3 or more"),
        (lambda: CPPN(layers=0), "layers: expected"),
        (lambda: CPPN(gain=math.nan), "gain: expected"),
    ],
)
def test_bad_parameters_are_said(build, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        build()


@pytest.mark.parametrize("build", [Fourier, DCT, Maco, CPPN])
def test_dimensions_are_known_without_work(build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "probe_images", lambda: pytest.fail("the images were read"))
    assert build((3, 32, 32)).space.dim > 0
    assert build((3, 32, 32)).stimulus_shape == (3, 32, 32)


@pytest.mark.cuda
@pytest.mark.parametrize("build", [Fourier, DCT, Maco, CPPN])
def test_it_computes_where_the_latents_are(build) -> None:
    latents = latents_for(build())
    there = build().render(latents.cuda())
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), build().render(latents), atol=1e-3, rtol=0)
