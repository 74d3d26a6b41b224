"""Encoders of generators: from stimuli back to latents."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from blackbox_am.core.generator import Generator
from blackbox_am.errors import CapabilityMissing, ShapeMismatch
from blackbox_am.generators.data.pca import PCA
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
from blackbox_am.generators.networks.gan import Gan
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.antialias import Antialias
from blackbox_am.generators.wrappers.basis import Basis
from blackbox_am.generators.wrappers.colour import Colour
from blackbox_am.generators.wrappers.mask import Mask
from blackbox_am.generators.wrappers.resize import Resize
from blackbox_am.testing.generators import latents_for
from blackbox_am.zoo import loading


@pytest.fixture(scope="module")
def natural() -> torch.Tensor:
    images = loading.probe_images()[0][::10]
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def error_of(generator: Generator, stimuli: torch.Tensor) -> float:
    """Mean squared error of stimuli that are encoded and rendered, over that of the mean."""
    with torch.no_grad():
        made = generator.render(generator.encode(stimuli))
    variance = (stimuli - stimuli.mean(0)).square().mean()
    return float((made - stimuli).square().mean() / variance)


@pytest.mark.parametrize(
    ("make", "most"),
    [(PCA, 0.25), (DiffusersVAE, 0.25), (DiffusersVQ, 0.15),
     (lambda: DiffusersVQ(latent="codes"), 0.15)],
)  # fmt: skip
def test_natural_images_come_back(
    make: Callable[[], Generator], most: float, natural: torch.Tensor
) -> None:
    assert error_of(make(), natural) < most


def test_pca_finds_the_latents_of_its_own_stimuli() -> None:
    generator = PCA(components=6)
    latents = 0.1 * latents_for(generator)  # not cut off at 0 and 1
    found = generator.encode(generator.render(latents))
    torch.testing.assert_close(found, latents, atol=1e-3, rtol=1e-3)


def test_the_two_spaces_of_a_codebook_encode_alike(natural: torch.Tensor) -> None:
    codes, continuous = DiffusersVQ(latent="codes"), DiffusersVQ()
    with torch.no_grad():
        pair = [one.render(one.encode(natural[:4])) for one in (codes, continuous)]
    torch.testing.assert_close(*pair, atol=1e-4, rtol=0)


WRAPPED: dict[str, Callable[[], Generator]] = {
    "antialias": lambda: Antialias(Pixels((3, 8, 8)), sigma=0.1),
    "basis": lambda: Basis(PCA(components=6), power=0.5, samples=4),
    "bgr": lambda: Colour(Pixels((3, 8, 8)), "bgr"),
    "grey": lambda: Colour(Pixels((3, 8, 8)), "grey"),
    "mask": lambda: Mask(Pixels((3, 8, 8)), free=np.arange(8) < 5),
    "compact": lambda: Mask(Pixels((120,)), np.zeros((3, 8, 8)), np.arange(8) < 5, compact=True),
    "resize": lambda: Resize(Pixels((3, 8, 8)), (16, 16), mode="nearest"),
    "cover": lambda: Resize(Pixels((1, 8, 8)), (8, 16), fit="cover", mode="nearest"),
    "crop": lambda: Resize(Pixels((1, 8, 8)), (6, 4), fit="crop"),
    "series": lambda: Resize(Pixels((2, 8)), (16,), mode="nearest"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_encode_what_they_render(name: str) -> None:
    generator = WRAPPED[name]()
    assert generator.encodes
    latents = latents_for(generator)
    if not isinstance(generator, Basis):
        latents = latents * 0.2 + 0.4
    stimuli = generator.render(0.05 * latents if isinstance(generator, Basis) else latents)
    latents = generator.encode(stimuli)
    assert latents.shape == (len(stimuli), generator.space.dim)
    assert (generator.render(latents) - stimuli).square().mean() < 0.15 * stimuli.var()


def test_a_wrapper_without_a_way_back_has_no_encoder() -> None:
    for generator in (Colour(Gan(), "grey"), Resize(Gan(), (16, 16)), Basis(Gan(), samples=1)):
        assert not generator.encodes
        with pytest.raises(CapabilityMissing, match="has no encoder"):
            generator.encode(torch.zeros(1, *generator.stimulus_shape))


def test_stimuli_of_another_kind_are_refused() -> None:
    for stimuli in (torch.zeros(2, 3, 8, 9), torch.zeros(2, 3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(ShapeMismatch, match=r"shape \(N, 3, 8, 8\)"):
            Pixels((3, 8, 8)).encode(stimuli)
