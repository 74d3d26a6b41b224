"""The catalogue: by name, built once, and clear about what is wrong with an entry."""

from __future__ import annotations

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch

from blackbox_am.catalogue import VARIANTS, Catalogue
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.colour import Colour
from blackbox_am.generators.wrappers.resize import Resize
from blackbox_am.oracles.simulated import Simulated

PIXELS = {"kind": "pixels", "shape": [3, 8, 8]}


def test_what_ships_is_there():
    catalogue = Catalogue.default()
    assert catalogue.oracle_names() == ["cbf_cnn", "cifar_cnn", "cifar_vit"]
    shapes = {
        name: catalogue.oracle(name).describe().stimulus_shape for name in catalogue.oracle_names()
    }
    for name in catalogue.generator_names():
        # Each has an oracle that takes what it makes.
        taken = shapes["cbf_cnn"] if name == "cbf_vae" else shapes["cifar_cnn"]
        assert catalogue.generator(name).stimulus_shape == taken
    assert catalogue.generator("cifar_vq_codes").space.kind == "categorical"


def test_an_entry_is_built_once_whoever_asks():
    catalogue = Catalogue.from_plain({"oracles": {"toy": {"kind": "simulated"}}})
    with ThreadPoolExecutor(8) as pool:
        built = list(pool.map(lambda _: catalogue.oracle("toy"), range(32)))
    assert len({id(oracle) for oracle in built}) == 1


def test_models_at_hand_can_be_registered():
    catalogue = Catalogue()
    oracle, generator = Simulated((1, 2, 2)), Pixels((1, 2, 2))
    catalogue.add_oracle("mine", oracle)
    catalogue.add_generator("mine", generator)
    assert catalogue.oracle("mine") is oracle
    assert catalogue.generator("mine") is generator


def test_an_unknown_name_is_not_found():
    with pytest.raises(NotFound, match="did you mean 'cifar_cnn'"):
        Catalogue.default().oracle("cifar_cn")
    with pytest.raises(NotFound, match="did you mean 'cifar_vae'"):
        Catalogue.default().generator("cifar_va")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"oracles": 3}, r"\[oracles\] must be tables"),
        ({"oracles": {"a": {"model": "x"}}}, r"\[oracles.a\] must be a table with a kind"),
        ({"generators": {"a": "diffusers_vae"}}, 'kind = "diffusers_vae"'),
        ({"oracles": {"a": {"kind": "torch_modul"}}}, "did you mean 'torch_module'"),
        ({"generators": {"a": PIXELS | {"wrap": 3}}}, r"\[\[generators.a.wrap\]\]"),
        ({"generators": {"a": PIXELS | {"wrap": [{}]}}}, r'a.wrap\] must .* kind = "resize"'),
        ({"generators": {"a": PIXELS | {"wrap": [{"kind": "cache"}]}}}, "no wrapper .*'cache'"),
        ({"oracles": {"a": {"kind": "simulated", "wrap": [{"kind": "colour"}]}}}, "'colour'"),
    ],
)
def test_a_wrong_entry_is_said_at_once(tables, words):
    with pytest.raises(InvalidSpec, match=words):
        Catalogue.from_plain(tables)


def test_a_wrong_parameter_is_said_when_it_is_built():
    catalogue = Catalogue.from_plain({"oracles": {"a": {"kind": "simulated", "unit": 3}}})
    with pytest.raises(InvalidSpec, match="did you mean 'units'"):
        catalogue.oracle("a")


def test_wrappers_stand_around_generators_in_order():
    wraps = [{"kind": "resize", "size": [5, 4]}, {"kind": "colour", "channels": "grey"}]
    catalogue = Catalogue.from_plain({"generators": {"a": PIXELS | {"wrap": wraps}}})
    assert catalogue.generator("a") == Colour(Resize(Pixels((3, 8, 8)), (5, 4)))
    assert catalogue.generator("a").stimulus_shape == (1, 5, 4)


def test_a_wrong_parameter_of_a_wrapper_is_said_when_it_is_built():
    wraps = [{"kind": "resize", "sise": [5, 4]}]
    catalogue = Catalogue.from_plain({"generators": {"a": PIXELS | {"wrap": wraps}}})
    with pytest.raises(InvalidSpec, match="did you mean 'size'"):
        catalogue.generator("a")


def test_an_added_entry_takes_the_place_of_one_that_was_built():
    catalogue = Catalogue.from_plain(
        {"oracles": {"a": {"kind": "simulated"}}, "generators": {"a": PIXELS}}
    )
    assert catalogue.oracle("a") == Simulated()
    assert catalogue.generator("a") == Pixels((3, 8, 8))
    oracle, generator = Simulated(units=3), Pixels((1, 2, 2))
    catalogue.add_oracle("a", oracle)
    catalogue.add_generator("a", generator)
    assert catalogue.oracle("a") is oracle
    assert catalogue.generator("a") is generator


def test_building_one_entry_keeps_no_other_waiting():
    slow, started = Event(), Event()

    def build():
        started.set()
        assert slow.wait(60)
        return lambda x: x.mean((1, 2, 3))

    module = types.ModuleType("slow_to_import")
    module.__getattr__ = lambda name: build() if name == "model" else None
    sys.modules["slow_to_import"] = module
    entry = {"kind": "function", "function": "slow_to_import:model", "stimulus_shape": [1, 2, 2]}
    catalogue = Catalogue.from_plain({"oracles": {"slow": entry, "toy": {"kind": "simulated"}}})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(catalogue.oracle, "slow")
        assert started.wait(60)
        try:
            assert catalogue.oracle("toy") == Simulated()
            assert not waiting.done()
        finally:
            slow.set()
        assert waiting.result(60).kind == "function"
    del sys.modules["slow_to_import"]


ATTACK = {"kind": "perturbation", "radius": 0.1}
IMAGES = np.random.default_rng(0).random((3, 1, 4, 4)).astype(np.float32)


def test_a_study_sets_parameters_and_brings_inputs():
    catalogue = Catalogue.from_plain({"generators": {"attack": ATTACK}})
    found = catalogue.generator("attack", {"radius": 0.25, "ball": "l2"}, {"inputs": IMAGES})
    assert (found.radius, found.ball, found.targets) == (0.25, "l2", 3)
    zeros = torch.zeros(3, found.space.dim)
    rendered = found.render_targets(zeros, torch.arange(3))
    np.testing.assert_allclose(rendered.numpy(), IMAGES, atol=1e-6)
    again = catalogue.generator("attack", {"ball": "l2", "radius": 0.25}, {"inputs": IMAGES})
    assert again is found
    other = catalogue.generator("attack", {"radius": 0.25, "ball": "l2"}, {"inputs": IMAGES / 2})
    assert other is not found
    assert other.fingerprint().digest != found.fingerprint().digest


def test_a_study_keeps_its_inputs_whatever_becomes_of_the_array():
    catalogue = Catalogue.from_plain({"generators": {"attack": ATTACK}})
    images = IMAGES.copy()
    found = catalogue.generator("attack", inputs={"inputs": images})
    images[:] = 0
    rendered = found.render(torch.zeros(1, found.space.dim))
    np.testing.assert_allclose(rendered.numpy(), IMAGES[:1], atol=1e-6)


def test_images_to_search_near_in_an_autoencoder():
    catalogue = Catalogue.from_plain({"generators": {"near": {"kind": "neighbourhood"}}})
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    found = catalogue.generator("near", {"radius": 1, "channels_last": True}, {"inputs": images})
    assert (found.radius, found.targets, found.stimulus_shape) == (1.0, 2, (3, 32, 32))


def test_what_a_study_may_set_is_known_before_anything_is_built():
    catalogue = Catalogue.from_plain(
        {
            "generators": {
                "attack": ATTACK,
                "own": ATTACK | {"inputs": "zoo:probe_images"},
                "free": PIXELS | {"allow": ["shape"]},
            }
        }
    )
    attack = catalogue.study_settings("attack")
    assert {"radius", "ball", "basis", "size"} <= set(attack.parameters)
    assert (attack.inputs, attack.needed) == (("inputs",), ("inputs",))
    assert catalogue.study_settings("own").needed == ()
    assert catalogue.study_settings("free").parameters == ("shape",)
    assert catalogue.generator("free", {"shape": [1, 2, 2]}) == Pixels((1, 2, 2))
    with pytest.raises(NotFound, match="did you mean 'free'"):
        catalogue.study_settings("fre")


@pytest.mark.parametrize(
    ("parameters", "inputs", "words"),
    [
        ({}, {}, "has no inputs of its own; bring them with the study"),
        ({"inputs": "/etc/secret.npy"}, {"inputs": IMAGES}, "a study cannot set 'inputs'"),
        ({"array": "x"}, {"inputs": IMAGES}, r"cannot set 'array'; .*allow = \["),
        ({}, {"inputs": "/etc/secret.npy"}, "expected the input 'inputs' to be an array, got str"),
        ({}, {"images": IMAGES}, "takes no input 'images'; inputs of a study are inputs"),
        ({"radius": "wide"}, {"inputs": IMAGES}, "perturbation: radius: expected a number"),
        ({"radius": 3}, {"inputs": IMAGES}, "radius: expected for linf 0.00001 to 1, got 3"),
    ],
)
def test_what_a_study_may_not_do(parameters, inputs, words):
    catalogue = Catalogue.from_plain({"generators": {"attack": ATTACK}})
    with pytest.raises(InvalidSpec, match=words):
        catalogue.generator("attack", parameters, inputs)


def test_an_operator_allows_what_there_is():
    with pytest.raises(InvalidSpec, match=r"allow names 'shap', .* did you mean 'shape'"):
        Catalogue.from_plain({"generators": {"a": PIXELS | {"allow": ["shap"]}}})
    with pytest.raises(InvalidSpec, match="expected allow to be a list"):
        Catalogue.from_plain({"generators": {"a": PIXELS | {"allow": "shape"}}})
    with pytest.raises(InvalidSpec, match="no parameter 'allow'"):
        Catalogue.from_plain({"oracles": {"a": {"kind": "simulated", "allow": ["units"]}}}).oracle(
            "a"
        )


def test_parameters_reach_the_generator_inside_its_wrappers():
    wraps = [{"kind": "resize", "size": [5, 4]}]
    entry = {"kind": "dct", "shape": [3, 8, 8], "cycles": 2.2, "wrap": wraps}
    catalogue = Catalogue.from_plain({"generators": {"a": entry}})
    assert catalogue.generator("a", {"contrast": 3}).inner.contrast == 3.0
    catalogue.add_generator("b", catalogue.generator("a"), allow=["shape"])
    found = catalogue.generator("b", {"contrast": 3, "shape": [1, 8, 8]})
    assert (found.inner.contrast, found.inner.shape) == (3.0, (1, 8, 8))
    assert found.stimulus_shape == (1, 5, 4)
    with pytest.raises(InvalidSpec, match="dct: contrast: expected a number, got 'much'"):
        catalogue.generator("b", {"contrast": "much"})


def test_the_variants_that_are_kept_are_few():
    entry = {"kind": "dct", "shape": [3, 8, 8], "cycles": 2.2}
    catalogue = Catalogue.from_plain({"generators": {"a": entry}})
    first = catalogue.generator("a", {"contrast": 1.0})
    for number in range(VARIANTS - 1):
        catalogue.generator("a", {"contrast": 2.0 + number})
    assert catalogue.generator("a", {"contrast": 1.0}) is first
    for number in range(VARIANTS):
        catalogue.generator("a", {"contrast": 2.5 + number})
    assert catalogue.generator("a", {"contrast": 1.0}) is not first
