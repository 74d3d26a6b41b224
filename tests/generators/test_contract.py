"""The contract of generators, over every registered one."""

from collections.abc import Callable

import numpy as np
import pytest

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.generators.diffusers_vae import DiffusersVAE
from blackbox_am.generators.diffusers_vq import DiffusersVQ
from blackbox_am.generators.neighbourhood import Neighbourhood
from blackbox_am.generators.pca import PCA
from blackbox_am.generators.perturbation import Perturbation
from blackbox_am.generators.pixels import Pixels
from blackbox_am.generators.series import Series
from blackbox_am.generators.table import Column, Table
from blackbox_am.testing.generators import GeneratorContract, latents_for

EXAMPLES: dict[str, Callable[[str, str], Generator]] = {
    "diffusers_vae": lambda vae, vq: DiffusersVAE(vae),
    "diffusers_vq": lambda vae, vq: DiffusersVQ(vq),
    "neighbourhood": lambda vae, vq: Neighbourhood(np.full((1, 3, 16, 16), 0.5), weights=vae),
    "pca": lambda vae, vq: PCA(components=6),
    "perturbation": lambda vae, vq: Perturbation(np.full((1, 3, 8, 9), 0.5), basis="dct", size=4),
    "pixels": lambda vae, vq: Pixels((3, 6, 5)),
    "series": lambda vae, vq: Series(2, 24, coefficients=6),
    "table": lambda vae, vq: Table(
        (Column("a", low=0, high=5), Column("b", categories=("x", "y")))
    ),
}


OF_FILES = ("biggan", "deepsim", "exported", "onnx", "torchscript")
"""Generators of weights that users bring."""


class TestRegistered(GeneratorContract):
    @pytest.fixture(params=plugins.generators.names())
    def generator(
        self, request: pytest.FixtureRequest, vae_folder: str, vq_folder: str
    ) -> Generator:
        if request.param in OF_FILES:
            pytest.skip("its contract is tested in a file of its own, with weights made for it")
        if request.param not in EXAMPLES:
            pytest.fail(f"generator {request.param!r} has no example: add one to EXAMPLES here")
        example = EXAMPLES[request.param](vae_folder, vq_folder)
        assert type(example) is plugins.generators.get(request.param)
        assert example.kind == request.param
        return example


class TestCodes(GeneratorContract):
    @pytest.fixture
    def generator(self, vq_folder: str) -> Generator:
        return DiffusersVQ(vq_folder, "codes")


ZOO: dict[str, Callable[[], Generator]] = {
    "vae": DiffusersVAE,
    "vq": DiffusersVQ,
    "codes": lambda: DiffusersVQ(latent="codes"),
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
