"""Oracles, generators and sets of natural images by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from blackbox_am import plugins
from blackbox_am.catalogue._entries import GENERATORS, ORACLES, entries_of, in_folder
from blackbox_am.catalogue._images import Images, images_of
from blackbox_am.catalogue._settings import Arrays, StudySettings, check_settings, settings_of
from blackbox_am.catalogue._shelf import Plain, Shelf, Slot
from blackbox_am.core.generator import Generator
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import with_parameters

SHIPPED: dict[str, dict[str, dict[str, Any]]] = {
    "oracles": {
        "cifar_cnn": {"kind": "torch_module", "model": "zoo:cifar_cnn"},
        "cifar_vit": {"kind": "torch_module", "model": "zoo:cifar_vit"},
        "cbf_cnn": {"kind": "torch_module", "model": "zoo:cbf_cnn"},
    },
    "generators": {
        "cifar_pca": {"kind": "pca", "data": "zoo:probe_images", "components": 64},
        "cifar_vae": {"kind": "diffusers_vae", "weights": "zoo:cifar_vae"},
        "cifar_vq": {"kind": "diffusers_vq", "weights": "zoo:cifar_vq"},
        "cifar_vq_codes": {"kind": "diffusers_vq", "weights": "zoo:cifar_vq", "latent": "codes"},
        "cifar_ldm": {"kind": "diffusers_unconditional", "weights": "zoo:cifar_ldm"},
        "cppn_32": {"kind": "cppn", "shape": [3, 32, 32]},
        "dct_32": {"kind": "dct", "shape": [3, 32, 32], "cycles": 4.2},
        "fourier_32": {"kind": "fourier", "shape": [3, 32, 32], "cycles": 9.0},
        "maco_32": {"kind": "maco", "shape": [3, 32, 32]},
        "cifar_sngan": {"kind": "gan", "weights": "zoo:cifar_sngan"},
        "cbf_vae": {"kind": "series_vae", "weights": "zoo:cbf_vae"},
        "pixels_32": {"kind": "pixels", "shape": [3, 32, 32]},
        "perturbation": {"kind": "perturbation", "inputs": "zoo:probe_images"},
    },
    "images": {"shipped": {"data": "zoo:probe_images"}},
}
"""The entries that every installation has: the small models of the zoo."""


class Catalogue:
    """Oracles, generators and sets of natural images by name. Safe to use from any thread."""

    def __init__(self) -> None:
        self._oracles: Shelf[Oracle] = Shelf("oracle")
        self._generators: Shelf[Generator] = Shelf("generator")
        self._images: Shelf[Images] = Shelf("images")
        self._settings: dict[str, StudySettings] = {}

    @classmethod
    def default(cls) -> Catalogue:
        """The shipped models."""
        return cls.from_plain(SHIPPED)

    @classmethod
    def from_plain(cls, tables: Mapping[str, Any]) -> Catalogue:
        """A catalogue from configuration tables.

        Args:
            tables: ``{"oracles": {name: {"kind": ..., **parameters}}, "generators": {...}}``.
                An entry may have ``"wrap": [{"kind": ..., **parameters}, ...]``, a list of
                wrappers: the first wrapper is the innermost, the last the outermost. A generator
                in a folder has ``"folder"`` in place of ``"kind"``. A generator
                may have ``"allow": [...]``, parameters that studies may set besides those that the
                generator leaves to every study (`Generator.study_parameters`). Sets of images
                are ``"images": {name: {"folder": ...}}``.

        Raises:
            InvalidSpec: for an entry without a kind, an unknown kind or parameter.
        """
        catalogue = cls()
        for name, entry in entries_of(tables, "oracles"):
            catalogue._oracles.slots[name] = Slot(ORACLES.builder(name, entry))
        for name, entry in entries_of(tables, "generators"):
            plain = in_folder(entry)
            allowed = plain.pop("allow", []) if isinstance(plain, dict) else []
            build = GENERATORS.builder(name, plain)
            known = {key for key in plain if key not in ("kind", "wrap")}
            maker = plugins.generators.get(plain["kind"])
            catalogue._settings[name] = settings_of(name, maker, known, allowed)
            catalogue._generators.slots[name] = Slot(build)
        for name, entry in entries_of(tables, "images"):
            catalogue.add_images(name, images_of(name, entry))
        return catalogue

    def oracle_names(self) -> list[str]:
        """Names of the oracles, sorted."""
        return sorted(self._oracles.slots)

    def generator_names(self) -> list[str]:
        """Names of the generators, sorted."""
        return sorted(self._generators.slots)

    def image_names(self) -> list[str]:
        """Names of the sets of natural images, sorted."""
        return sorted(self._images.slots)

    def images(self, name: str) -> Images:
        """The set of natural images called `name`.

        Raises:
            NotFound: if the name is unknown. The message lists similar names.
        """
        return self._images.slot(name).get()

    def add_images(self, name: str, images: Images) -> None:
        """Registers a set of natural images. Replaces an earlier entry with the same name."""
        self._images.slots[name] = Slot(lambda _: images)

    def oracle(self, name: str) -> Oracle:
        """The oracle called `name`.

        Raises:
            NotFound: if the name is unknown. The message lists similar names.
        """
        return self._oracles.slot(name).get()

    def generator(
        self, name: str, parameters: Plain | None = None, inputs: Arrays | None = None
    ) -> Generator:
        """The generator called `name`, with the parameters and inputs of a study.

        Args:
            name: of the entry.
            parameters: plain values by the name of the parameter, in place of the entry's.
            inputs: arrays by the name of the parameter, such as the images to attack.

        Raises:
            NotFound: if the name is unknown. The message lists similar names.
            InvalidSpec: for a parameter that a study may not set or that has a bad value, an
                input that the generator does not take or lacks, or an input that is not an array.
        """
        slot = self._generators.slot(name)
        parameters, inputs = parameters or {}, inputs or {}
        check_settings(name, self._settings[name], parameters, inputs)
        if not parameters and not inputs:
            return slot.get()
        return slot.variant({**parameters, **{key: inputs[key].copy() for key in inputs}})

    def study_settings(self, name: str) -> StudySettings:
        """The parameters that a study may set of the generator called `name`. Builds nothing.

        Raises:
            NotFound: if the name is unknown. The message lists similar names.
        """
        self._generators.slot(name)
        return self._settings[name]

    def add_oracle(self, name: str, oracle: Oracle) -> None:
        """Registers an oracle object. Replaces an earlier entry with the same name."""
        self._oracles.slots[name] = Slot(lambda _: oracle)

    def add_generator(self, name: str, generator: Generator, allow: Sequence[str] = ()) -> None:
        """Registers a generator object. Replaces an earlier entry with the same name.

        Args:
            name: of the entry.
            generator: the object.
            allow: parameters that studies may set besides `Generator.study_parameters`.

        Raises:
            InvalidSpec: if the generator lacks a parameter that is named in `allow`.
        """
        maker = type(_innermost(generator))
        self._settings[name] = settings_of(name, maker, set(maker.study_inputs), list(allow))
        self._generators.slots[name] = Slot(lambda settings: _replaced(generator, settings))


def with_shipped(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration tables with the shipped models besides their own. An entry with the same name
    replaces a shipped one.
    """
    merged = dict(tables)
    for noun, entries in SHIPPED.items():
        own = tables.get(noun, {})
        if isinstance(own, dict):  # the catalogue refuses other values
            merged[noun] = {**entries, **own}
    return merged


def _innermost(generator: Generator) -> Generator:
    while isinstance(generator, GeneratorWrapper):
        generator = generator.inner
    return generator


def _replaced(generator: Generator, settings: Plain) -> Generator:
    """`generator` with other parameters: a copy of it, inside copies of its wrappers."""
    if not settings:
        return generator
    if isinstance(generator, GeneratorWrapper):
        return dataclasses.replace(generator, inner=_replaced(generator.inner, settings))
    return with_parameters(generator, generator.kind, settings)
