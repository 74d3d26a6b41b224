"""The contract of generators, over every registered wrapper around generators."""

from typing import Any

import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.testing.generators import GeneratorContract, latents_for

PARAMETERS: dict[str, dict[str, Any]] = {
    "antialias": {"sigma": 0.8},
    "basis": {"dimensions": 12, "samples": 2},
    "colour": {"channels": "grey"},
    "mask": {"base": 0.25, "free": [[False] * 4, [True] * 4] * 3},
    "resize": {"size": [9, 5], "fit": "cover"},
    "smooth": {"alpha": 0.4},
}
SHAPES: dict[str, tuple[int, ...]] = {"smooth": (3, 24)}
"""Shapes of inner stimuli, where they are no images of `IMAGE`."""
IMAGE = (3, 6, 4)


@pytest.fixture(params=plugins.generator_wrappers.names())
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in PARAMETERS:
        pytest.fail(f"wrapper {request.param!r} has no example: add one to PARAMETERS here")
    return request.param


class TestAroundPixels(GeneratorContract):
    @pytest.fixture
    def generator(self, name: str) -> Generator:
        return plugins.wrap_generator(Pixels(SHAPES.get(name, IMAGE)), name, PARAMETERS[name])

    def test_latents_are_those_of_what_it_is_put_around(self, generator: Generator) -> None:
        if generator.kind == "basis":
            pytest.skip("its latents are others: that is what it is for")
        assert generator.space == Pixels(SHAPES.get(generator.kind, IMAGE)).space
        assert generator.differentiable

    def test_it_moves_what_it_holds(
        self, generator: Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved = []
        monkeypatch.setattr(Pixels, "to", lambda self, device: moved.append(device))
        generator.to("cpu")
        assert moved == ["cpu"]

    def test_what_is_no_generator_cannot_be_wrapped(self, name: str) -> None:
        wrapper: type[GeneratorWrapper] = plugins.generator_wrappers.get(name)
        with pytest.raises(InvalidSpec, match="put around a generator, got Linear"):
            wrapper(nn.Linear(2, 2), **PARAMETERS[name])

    def test_plain_parameters_name_no_generator(self, name: str) -> None:
        with pytest.raises(InvalidSpec, match=r"no parameter 'inner'.*the generator"):
            plugins.wrap_generator(Pixels(), name, {"inner": "other"})

    def test_constants_made_in_inference_mode_carry_gradients_later(self, name: str) -> None:
        inner = Pixels(SHAPES.get(name, IMAGE))
        generator = plugins.wrap_generator(inner, name, PARAMETERS[name])
        with torch.inference_mode():
            generator.render(latents_for(generator))
        latents = latents_for(generator).requires_grad_()
        generator.render(latents).sum().backward()
        assert latents.grad is not None


class TestAroundCodes(GeneratorContract):
    """What has no gradient has none through a wrapper; codes stay codes."""

    @pytest.fixture
    def generator(self, name: str, vq_folder: str) -> Generator:
        inner = DiffusersVQ(vq_folder, "codes")
        if name == "basis":
            pytest.skip("codes have no directions")
        if name == "smooth":
            pytest.skip("these codes make images, and it changes series")
        parameters = PARAMETERS[name] | ({"free": [[True] * 16] * 16} if name == "mask" else {})
        return plugins.wrap_generator(inner, name, parameters)


class TestWrappersInWrappers(GeneratorContract):
    @pytest.fixture
    def generator(self) -> Generator:
        made: Generator = Pixels(IMAGE)
        for name in ("antialias", "resize", "colour"):
            made = plugins.wrap_generator(made, name, PARAMETERS[name])
        assert made.stimulus_shape == (1, 9, 5)
        return made


def test_every_wrapper_describes_itself() -> None:
    for name in plugins.generator_wrappers.names():
        wrapper = plugins.generator_wrappers.get(name)
        assert wrapper.kind == name
        assert plugins.generator_wrappers.summary(name).endswith((".", ":"))
        assert next(iter(plugins.generator_wrappers.schema(name)["properties"])) == "inner"


def test_wrappers_are_no_generators_of_their_own() -> None:
    assert not set(plugins.generator_wrappers.names()) & set(plugins.generators.names())
    assert "wrappers" not in plugins.generators.names()
