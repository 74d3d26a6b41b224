"""The contract of generators, over every registered one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.generators.data.pca import PCA
from blackbox_am.generators.data.series import Series
from blackbox_am.generators.data.table import Column, Table
from blackbox_am.generators.diffusers.diffusers_text import DiffusersText
from blackbox_am.generators.diffusers.diffusers_unconditional import DiffusersUnconditional
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
from blackbox_am.generators.inputs.neighbourhood import Neighbourhood
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.generators.networks.gan import Gan
from blackbox_am.generators.networks.series_vae import SeriesVAE
from blackbox_am.generators.networks.vq_module import VQModule
from blackbox_am.generators.parametric.cppn import CPPN
from blackbox_am.generators.parametric.dct import DCT
from blackbox_am.generators.parametric.fourier import Fourier
from blackbox_am.generators.parametric.maco import Maco
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.testing.generators import GeneratorContract, latents_for

Folders = Callable[[str], str]


def _vq_module(folders: Folders) -> VQModule:
    del folders
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.ConvTranspose2d(5, 3, 2, stride=2), nn.Tanh())
    return VQModule(decoder, torch.randn(12, 5), (3, 4), (3, 6, 8))


EXAMPLES: dict[str, Callable[[Folders], Generator]] = {
    "diffusers_text": lambda folder: DiffusersText(
        folder("text_folder"), "a red cat", latent="both", steps=2, directions=4
    ),
    "diffusers_unconditional": lambda folder: DiffusersUnconditional(
        folder("ddpm_folder"), steps=3
    ),
    "diffusers_vae": lambda folder: DiffusersVAE(folder("vae_folder")),
    "diffusers_vq": lambda folder: DiffusersVQ(folder("vq_folder")),
    "gan": lambda folder: Gan(),
    "series_vae": lambda folder: SeriesVAE(),
    "neighbourhood": lambda folder: Neighbourhood(
        np.full((1, 3, 16, 16), 0.5), weights=folder("vae_folder")
    ),
    "pca": lambda folder: PCA(components=6),
    "perturbation": lambda folder: Perturbation(np.full((1, 3, 8, 9), 0.5), basis="dct", size=4),
    "pixels": lambda folder: Pixels((3, 6, 5)),
    "series": lambda folder: Series(2, 24, coefficients=6),
    "table": lambda folder: Table((Column("a", low=0, high=5), Column("b", categories=("x", "y")))),
    "vq_module": _vq_module,
    "cppn": lambda folder: CPPN((3, 6, 5)),
    "dct": lambda folder: DCT((3, 6, 5), cycles=2.0),
    "fourier": lambda folder: Fourier((3, 6, 5)),
    "maco": lambda folder: Maco((3, 6, 5), cycles=2.0),
}


OF_FILES = ("biggan", "deepsim", "exported", "onnx", "torch_generator", "torchscript")
"""Generators of weights that users bring."""


class TestRegistered(GeneratorContract):
    @pytest.fixture(params=plugins.generators.names())
    def generator(self, request: pytest.FixtureRequest) -> Generator:
        if request.param in OF_FILES:
            pytest.skip("its contract is tested in a file of its own, with weights made for it")
        if request.param not in EXAMPLES:
            pytest.fail(f"generator {request.param!r} has no example: add one to EXAMPLES here")
        example = EXAMPLES[request.param](request.getfixturevalue)
        assert type(example) is plugins.generators.get(request.param)
        assert example.kind == request.param
        return example


class TestCodes(GeneratorContract):
    @pytest.fixture
    def generator(self, vq_folder: str) -> Generator:
        return DiffusersVQ(vq_folder, "codes")


VARIANTS: dict[str, Callable[[Folders], Generator]] = {
    "dcgan": lambda file: Gan(file("dcgan_weights"), "sphere", truncation=0.7),
    "consistency": lambda folder: DiffusersUnconditional(
        folder("consistency_folder"), steps=3, step_noises=2, label=1
    ),
    "ancestral": lambda folder: DiffusersUnconditional(
        folder("ddpm_folder"), steps=3, sampler="ddpm", prior="normal", rows=3
    ),
    "noise": lambda folder: DiffusersText(folder("text_folder"), steps=2, checkpointing=True),
    "prompt": lambda folder: DiffusersText(
        folder("text_folder"), "a dog", latent="prompt", steps=2, directions=3, scale=3.0
    ),
}


class TestVariants(GeneratorContract):
    @pytest.fixture(params=VARIANTS)
    def generator(self, request: pytest.FixtureRequest) -> Generator:
        return VARIANTS[request.param](request.getfixturevalue)


ZOO: dict[str, Callable[[], Generator]] = {
    "vae": DiffusersVAE,
    "vq": DiffusersVQ,
    "codes": lambda: DiffusersVQ(latent="codes"),
    "ldm": lambda: DiffusersUnconditional("zoo:cifar_ldm", steps=2),
}


@pytest.fixture(scope="module", params=ZOO)
def from_the_zoo(request: pytest.FixtureRequest) -> Generator:
    example = ZOO[request.param]()
    try:
        example.render(latents_for(example, 1))
    except (NotFound, StoreCorrupt) as error:
        pytest.skip(f"the zoo's weights are not here: {error}")
    return example


class TestZoo(GeneratorContract):
    @pytest.fixture
    def generator(self, from_the_zoo: Generator) -> Generator:
        return from_the_zoo
