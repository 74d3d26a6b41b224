"""The catalogue: the oracles and generators that an operator has registered, by name.

A request names an entry of the catalogue and nothing else: no code, file or URL ever
comes from a caller. Entries are built when they are first used.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from blackbox_am import plugins
from blackbox_am.core import digests
from blackbox_am.core.generator import Generator
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import with_parameters
from blackbox_am.errors import InvalidSpec, NotFound, did_you_mean

T = TypeVar("T")

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
        "dct_32": {"kind": "dct", "shape": [3, 32, 32]},
        "fourier_32": {"kind": "fourier", "shape": [3, 32, 32], "lowest": 128},
        "maco_32": {"kind": "maco", "shape": [3, 32, 32]},
        "cifar_sngan": {"kind": "gan", "weights": "zoo:cifar_sngan"},
        "cbf_vae": {"kind": "series_vae", "weights": "zoo:cbf_vae"},
        "pixels_32": {"kind": "pixels", "shape": [3, 32, 32]},
    },
}
"""What every installation has: the small models of the zoo."""


VARIANTS = 8
"""Generators with a study's own parameters or inputs that are kept of one entry, the last used."""

Arrays = Mapping[str, NDArray[Any]]
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class StudySettings:
    """What a study may set of a generator of the catalogue.

    Attributes:
        parameters: names of the parameters that it may set, sorted.
        inputs: names of the parameters that it may bring as arrays.
        needed: those of `inputs` that the entry has none of, so that a study must bring them.
    """

    parameters: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


class _Slot(Generic[T]):
    """One entry, built when it is first used. Other entries are not kept waiting meanwhile.

    Args:
        build: builds what the entry describes, with these parameters in place of its own.
    """

    def __init__(self, build: Callable[[Plain], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: list[T] = []
        self._variants: OrderedDict[str, T] = OrderedDict()

    def get(self) -> T:
        """The entry as the operator wrote it."""
        if not self._built:
            with self._lock:
                if not self._built:
                    self._built.append(self._build({}))
        return self._built[0]

    def variant(self, parameters: Plain) -> T:
        """The entry with these parameters: the same object for equal ones, while it is kept."""
        key = repr([(name, digests.of_value(parameters[name])) for name in sorted(parameters)])
        with self._lock:
            if key not in self._variants:
                self._variants[key] = self._build(parameters)
            self._variants.move_to_end(key)
            while len(self._variants) > VARIANTS:
                self._variants.popitem(last=False)
            return self._variants[key]


class _Shelf(Generic[T]):
    """Entries of one noun, by name."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.slots: dict[str, _Slot[T]] = {}

    def slot(self, name: str) -> _Slot[T]:
        """The entry called `name`.

        Raises:
            NotFound: where there is none; says which names are near.
        """
        found = self.slots.get(name)
        if found is None:
            near = did_you_mean(name, self.slots)
            raise NotFound(f"no {self.noun} {name!r} in the catalogue{near}", field=self.noun)
        return found


class Catalogue:
    """Oracles and generators by name. Safe to use from any thread."""

    def __init__(self) -> None:
        self._oracles: _Shelf[Oracle] = _Shelf("oracle")
        self._generators: _Shelf[Generator] = _Shelf("generator")
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
                An entry may have ``"wrap": [{"kind": ..., **parameters}, ...]``, what is put
                around it: the first around the model, the last outermost. A generator may have
                ``"allow": [...]``, parameters that studies may set besides those that the
                generator leaves to every study (`Generator.study_parameters`).

        Raises:
            InvalidSpec: for an entry without a kind, an unknown kind or parameter.
        """
        catalogue = cls()
        for name, entry in _entries(tables, "oracles"):
            catalogue._oracles.slots[name] = _Slot(_ORACLES.builder(name, entry))
        for name, entry in _entries(tables, "generators"):
            plain = dict(entry) if isinstance(entry, dict) else entry
            allowed = plain.pop("allow", []) if isinstance(plain, dict) else []
            build = _GENERATORS.builder(name, plain)
            known = {key for key in plain if key not in ("kind", "wrap")}
            maker = plugins.generators.get(plain["kind"])
            catalogue._settings[name] = _settings(name, maker, known, allowed)
            catalogue._generators.slots[name] = _Slot(build)
        return catalogue

    def oracle_names(self) -> list[str]:
        """Names of the oracles, sorted."""
        return sorted(self._oracles.slots)

    def generator_names(self) -> list[str]:
        """Names of the generators, sorted."""
        return sorted(self._generators.slots)

    def oracle(self, name: str) -> Oracle:
        """The oracle called `name`.

        Raises:
            NotFound: where there is none; says which names are near.
        """
        return self._oracles.slot(name).get()

    def generator(
        self, name: str, parameters: Plain | None = None, inputs: Arrays | None = None
    ) -> Generator:
        """The generator called `name`, with what a study sets and brings.

        Args:
            name: of the entry.
            parameters: plain values by the name of the parameter, in place of the entry's.
            inputs: arrays by the name of the parameter, such as the images to attack.

        Raises:
            NotFound: where there is none; says which names are near.
            InvalidSpec: for a parameter that a study may not set or that has a bad value, an
                input that the generator does not take or lacks, or an input that is no array.
        """
        slot = self._generators.slot(name)
        parameters, inputs = parameters or {}, inputs or {}
        _check_settings(name, self._settings[name], parameters, inputs)
        if not parameters and not inputs:
            return slot.get()
        return slot.variant({**parameters, **{key: inputs[key].copy() for key in inputs}})

    def study_settings(self, name: str) -> StudySettings:
        """What a study may set of the generator called `name`. Builds nothing.

        Raises:
            NotFound: where there is none; says which names are near.
        """
        self._generators.slot(name)
        return self._settings[name]

    def add_oracle(self, name: str, oracle: Oracle) -> None:
        """Registers an oracle that exists already, in place of another of this name."""
        self._oracles.slots[name] = _Slot(lambda _: oracle)

    def add_generator(self, name: str, generator: Generator, allow: Sequence[str] = ()) -> None:
        """Registers a generator that exists already, in place of another of this name.

        Args:
            name: of the entry.
            generator: it.
            allow: parameters that studies may set besides `Generator.study_parameters`.

        Raises:
            InvalidSpec: where it has no such parameter.
        """
        maker = type(_innermost(generator))
        self._settings[name] = _settings(name, maker, set(maker.study_inputs), list(allow))
        self._generators.slots[name] = _Slot(lambda settings: _replaced(generator, settings))


@dataclass(frozen=True)
class _Kind(Generic[T]):
    """How entries of one kind are read.

    Attributes:
        noun: the table that holds them.
        registry, example: their plug-ins, and one of them for messages.
        wrappers, wrapper: what can be put around them, and one of them for messages.
        wrap: puts it around.
    """

    noun: str
    registry: plugins.Registry[T]
    example: str
    wrappers: plugins.Registry[Any]
    wrapper: str
    wrap: Callable[[T, str, dict[str, Any]], T]

    def builder(self, name: str, entry: Any) -> Callable[[Plain], T]:
        """Builds what `entry` describes, with given parameters in place of its own.

        Raises:
            InvalidSpec: for an entry without a kind, or an unknown kind.
        """
        kind, parameters = _kind(self.noun, name, entry, self.example)
        self.registry.get(kind)
        wraps = self._wraps(name, parameters.pop("wrap", []))

        def built(settings: Plain) -> T:
            made = self.registry.build(kind, {**parameters, **settings})
            for wrapper, settings in wraps:
                made = self.wrap(made, wrapper, settings)
            return made

        return built

    def _wraps(self, name: str, entries: Any) -> list[tuple[str, dict[str, Any]]]:
        path = f"{self.noun}.{name}.wrap"
        if not isinstance(entries, list):
            raise InvalidSpec(
                f"[{self.noun}.{name}]: expected wrap to be a list of tables, [[{path}]]",
                field=path,
            )
        wraps = [_kind(self.noun, f"{name}.wrap", entry, self.wrapper) for entry in entries]
        for kind, _ in wraps:
            self.wrappers.get(kind)
        return wraps


_ORACLES: _Kind[Oracle] = _Kind(
    "oracles", plugins.oracles, "torch_module", plugins.wrappers, "cache", plugins.wrap
)
_GENERATORS: _Kind[Generator] = _Kind(
    "generators",
    plugins.generators,
    "diffusers_vae",
    plugins.generator_wrappers,
    "resize",
    plugins.wrap_generator,
)


def _entries(tables: Mapping[str, Any], noun: str) -> list[tuple[str, Any]]:
    entries = tables.get(noun, {})
    if not isinstance(entries, dict):
        raise InvalidSpec(f"[{noun}] must be tables, [{noun}.NAME], each with a kind", field=noun)
    return list(entries.items())


def _kind(noun: str, name: str, entry: Any, example: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise InvalidSpec(
            f'[{noun}.{name}] must be a table with a kind, such as kind = "{example}"',
            field=f"{noun}.{name}",
        )
    return entry["kind"], {key: value for key, value in entry.items() if key != "kind"}


def _settings(name: str, maker: type[Generator], known: set[str], allowed: Any) -> StudySettings:
    """What a study may set of an entry whose parameters are `known`.

    Raises:
        InvalidSpec: where the operator allows something that is no parameter.
    """
    fields = {field.name: field for field in dataclasses.fields(maker)}  # type: ignore[arg-type]
    if not isinstance(allowed, (list, tuple)):
        raise InvalidSpec(
            f"[generators.{name}]: expected allow to be a list of parameters, got {allowed!r}",
            field=f"generators.{name}.allow",
        )
    for parameter in allowed:
        if parameter not in fields:
            near = did_you_mean(str(parameter), fields)
            raise InvalidSpec(
                f"[generators.{name}]: allow names {parameter!r}, which is no parameter of "
                f"{maker.kind}{near}",
                field=f"generators.{name}.allow",
            )
    inputs = maker.study_inputs
    missing = dataclasses.MISSING
    required = {
        key for key, field in fields.items() if field.default is field.default_factory is missing
    }
    return StudySettings(
        tuple(sorted(maker.study_parameters | set(allowed))),
        inputs,
        tuple(key for key in inputs if key in required and key not in known),
    )


def _check_settings(name: str, may: StudySettings, parameters: Plain, inputs: Arrays) -> None:
    """Checks what a study sets and brings.

    Raises:
        InvalidSpec: for what it may not set or bring, or does not bring.
    """
    for key in parameters:
        if key not in may.parameters:
            raise InvalidSpec(
                f"generator {name!r}: a study cannot set {key!r}; it can set "
                f"{', '.join(may.parameters) or 'nothing'}, and the operator can permit others "
                f'with allow = ["{key}"]',
                field=f"generator.parameters.{key}",
            )
    for key, array in inputs.items():
        if key not in may.inputs:
            raise InvalidSpec(
                f"generator {name!r}: it takes no input {key!r}; inputs of a study are "
                f"{', '.join(may.inputs) or 'none'}",
                field=f"generator.inputs.{key}",
            )
        if not isinstance(array, np.ndarray):
            raise InvalidSpec(
                f"generator {name!r}: expected the input {key!r} to be an array, got "
                f"{type(array).__name__}",
                field=f"generator.inputs.{key}",
            )
    for key in may.needed:
        if key not in inputs:
            raise InvalidSpec(
                f"generator {name!r}: it has no {key} of its own; bring them with the study, as "
                f"the input {key!r}",
                field=f"generator.inputs.{key}",
            )


def _innermost(generator: Generator) -> Generator:
    while isinstance(generator, GeneratorWrapper):
        generator = generator.inner
    return generator


def _replaced(generator: Generator, settings: Plain) -> Generator:
    """`generator`, or a copy with other parameters, inside copies of what is around it."""
    if not settings:
        return generator
    if isinstance(generator, GeneratorWrapper):
        return dataclasses.replace(generator, inner=_replaced(generator.inner, settings))
    return with_parameters(generator, generator.kind, settings)
