"""The catalogue: by name, built once, and clear about what is wrong with an entry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from blackbox_am.catalogue import Catalogue
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
