"""Decoders of any kind with a codebook; the real case is MANGO's autoencoder of CIFAR-10."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from blackbox_am.bench import problems
from blackbox_am.bench.mango import MANGO_MEAN, MANGO_STD
from blackbox_am.core.generator import check_latents
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch
from blackbox_am.generators.networks.vq_module import VQModule

ASSETS = Path(__file__).parents[4] / "shared" / "assets"


def _small(latent: str = "codes", **given: object) -> VQModule:
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.ConvTranspose2d(5, 3, 2, stride=2), nn.Dropout())
    return VQModule(decoder, torch.randn(12, 5), (2, 3), (3, 4, 6), latent=latent, **given)


def test_codes_are_looked_up_decoded_and_brought_into_range() -> None:
    generator = _small(mean=(0.5, 0.25, 0.0), std=(0.1,))
    codes = torch.tensor([[0, 11, 3, 4, 4, 7]])
    vectors = generator.codebook[codes[0]].T.reshape(1, 5, 2, 3)
    made = generator.decoder[0](vectors)  # without the dropout: in eval mode it does nothing
    expected = made * 0.1 + torch.tensor([0.5, 0.25, 0.0]).reshape(3, 1, 1)
    torch.testing.assert_close(generator.render(codes), expected.clamp(0, 1))
    assert (generator.space.kind, generator.space.spec.image_shape) == ("categorical", (1, 2, 3))
    assert generator.space.spec.categories == 12
    assert not generator.differentiable


def test_continuous_latents_are_moved_to_the_nearest_entry_or_not() -> None:
    quantised, free = _small("continuous"), _small("continuous", quantise=False)
    book = quantised.codebook
    white = (book - book.mean(0)) / book.std(0)
    codes = torch.tensor([[0, 11, 3, 4, 4, 7]])
    exact = white[codes].permute(0, 2, 1).reshape(1, -1)
    expected = _small().render(codes)
    torch.testing.assert_close(free.render(exact), expected)
    off = exact + 1e-3
    torch.testing.assert_close(quantised.render(off), expected)
    assert not torch.allclose(free.render(off), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder": 5}, "decoder: expected a torch.nn.Module, or .* got int"),
        ({"codebook": torch.zeros(3)}, r"codebook: .* got \(3,\)"),
        ({"codebook": [[0.0]]}, "codebook: .* got list"),
        ({"grid": (8,)}, "grid: expected 2 positive lengths"),
        ({"stimulus_shape": (3, 0, 6)}, "stimulus_shape: expected 3 positive lengths"),
        ({"mean": (0.5, 0.5)}, "mean: expected 1 number or 3"),
        ({"latent": "both"}, "'continuous' or 'codes'"),
    ],
)
def test_objects_that_do_not_fit(changes: dict[str, object], message: str) -> None:
    whole = {"decoder": nn.Identity(), "codebook": torch.zeros(4, 3), "grid": (2, 2)}
    with pytest.raises(InvalidSpec, match=message):
        VQModule(**whole | changes)


def test_a_decoder_of_other_pictures_than_named() -> None:
    generator = VQModule(nn.Identity(), torch.zeros(4, 3), (2, 2))
    with pytest.raises(ShapeMismatch, match=r"makes, \(3, 2, 2\), got \(3, 32, 32\)"):
        generator.render(torch.zeros(1, 4, dtype=torch.int64))


def test_codes_below_0_do_not_count_from_the_end() -> None:
    generator = _small()
    codes = torch.tensor([[0, 0, -1, 0, 0, 0]])
    with pytest.raises(InvalidInput, match="codes 0 to 11, got -1 in row 0, coordinate 2"):
        check_latents(generator.space, codes)
    with pytest.raises(IndexError):
        generator.render(codes)


@pytest.fixture(scope="module")
def mango() -> dict[str, torch.Tensor]:
    """The tensors of MANGO's autoencoder by name."""
    path = ASSETS / "mango_vqvae_cifar10.safetensors"
    if not path.is_file():
        pytest.skip("the assets with MANGO's weights are not here")
    return load_file(path)


@pytest.mark.parametrize("problem", ["mango_codes", "mango_4096"])
def test_mangos_autoencoder(mango: dict[str, torch.Tensor], problem: str) -> None:
    generator = problems.generator(problem, ASSETS)
    book = mango["_vq_vae._embedding.weight"]
    torch.manual_seed(0)
    if problem == "mango_codes":
        latents = torch.randint(0, 512, (3, 64))
        vectors = (
            torch.stack([book[row] for row in latents]).reshape(3, 8, 8, 64).permute(0, 3, 1, 2)
        )
    else:
        latents = torch.randn(3, 4096)
        deviations = (book - book.mean(0)).square().sum(0).div(511).sqrt()
        vectors = latents.reshape(3, 64, 64) * deviations.reshape(64, 1) + book.mean(0).reshape(
            64, 1
        )
        vectors = vectors.reshape(3, 64, 8, 8)
    assert generator.space.dim == latents.shape[1]
    assert generator.differentiable == (problem == "mango_4096")
    rendered = generator.render(latents)
    torch.testing.assert_close(rendered, _decode(mango, vectors))
    assert rendered.std() > 0.05


def test_mangos_reconstructions_are_near_the_images(mango: dict[str, torch.Tensor]) -> None:
    """Encodes real images with the weights' own encoder, so that the codes mean something."""
    archive = np.load(ASSETS / "cifar10_test_1000.npz")
    images = torch.from_numpy(archive["x"][:20]).permute(0, 3, 1, 2).float() / 255
    codes = _encode(mango, images)
    generator = problems.generator("mango_codes", ASSETS)
    error = (generator.render(codes.flatten(1)) - images).square().mean()
    assert error < 0.006
    shuffled = generator.render(codes.flatten(1).roll(1, 0))
    assert (shuffled - images).square().mean() > 5 * error


def _decode(state: dict[str, torch.Tensor], vectors: torch.Tensor) -> torch.Tensor:
    """(N, 3, 32, 32) in [0, 1] of vectors (N, 64, 8, 8), by the raw tensors alone."""

    def of(name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        return state[f"_decoder.{name}.weight"], state.get(f"_decoder.{name}.bias")

    hidden = nn.functional.conv2d(vectors, *of("_conv_1"), padding=1)
    for block in ("0", "1"):
        name = f"_residual_stack._layers.{block}._block"
        inner = nn.functional.conv2d(hidden.relu(), *of(f"{name}.1"), padding=1)
        hidden = hidden + nn.functional.conv2d(inner.relu(), *of(f"{name}.3"))
    hidden = nn.functional.conv_transpose2d(hidden.relu(), *of("_conv_trans_1"), 2, 1)
    pictures = nn.functional.conv_transpose2d(hidden.relu(), *of("_conv_trans_2"), 2, 1)
    mean, std = (torch.tensor(part).reshape(3, 1, 1) for part in (MANGO_MEAN, MANGO_STD))
    return (pictures * std + mean).clamp(0, 1)


def _encode(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """(N, 8, 8) the codes of images in [0, 1]."""
    mean, std = (torch.tensor(part).reshape(3, 1, 1) for part in (MANGO_MEAN, MANGO_STD))

    def conv(name: str, hidden: torch.Tensor, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return nn.functional.conv2d(
            hidden, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding
        )

    hidden = conv("_encoder._conv_1", (images - mean) / std, 2, 1).relu()
    hidden = conv("_encoder._conv_2", hidden, 2, 1).relu()
    hidden = conv("_encoder._conv_3", hidden, 1, 1)
    for block in ("0", "1"):
        name = f"_encoder._residual_stack._layers.{block}._block"
        inner = conv(f"{name}.1", hidden.relu(), 1, 1).relu()
        hidden = hidden + conv(f"{name}.3", inner)
    hidden = conv("_pre_vq_conv", hidden.relu())
    flat = hidden.permute(0, 2, 3, 1)
    nearest = torch.cdist(flat.flatten(0, 2), state["_vq_vae._embedding.weight"]).argmin(1)
    return nearest.reshape(flat.shape[:3])
