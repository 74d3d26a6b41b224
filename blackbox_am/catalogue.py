"""The catalogue: the oracles and generators that an operator has registered, by name.

A request names an entry of the catalogue and nothing else: no code, file or URL ever
comes from a caller. Entries are built when they are first used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import InvalidSpec, NotFound, did_you_mean

T = TypeVar("T")

SHIPPED: dict[str, dict[str, dict[str, Any]]] = {
    "oracles": {
        "cifar_cnn": {"kind": "torch_module", "model": "zoo:cifar_cnn"},
        "cifar_vit": {"kind": "torch_module", "model": "zoo:cifar_vit"},
        "cbf_cnn": {"kind": "torch_module", "model": "zoo:cbf_cnn"},
    },
    "generators": {
        "cifar_vae": {"kind": "diffusers_vae", "weights": "zoo:cifar_vae"},
        "cifar_vq": {"kind": "diffusers_vq", "weights": "zoo:cifar_vq"},
        "cifar_vq_codes": {"kind": "diffusers_vq", "weights": "zoo:cifar_vq", "latent": "codes"},
        "cifar_sngan": {"kind": "gan", "weights": "zoo:cifar_sngan"},
        "cbf_vae": {"kind": "series_vae", "weights": "zoo:cbf_vae"},
        "pixels_32": {"kind": "pixels", "shape": [3, 32, 32]},
    },
}
"""What every installation has: the small models of the zoo."""


@dataclass
class _Shelf(Generic[T]):
    """Entries of one kind: how to build each, and what has been built."""

    noun: str
    builders: dict[str, Callable[[], T]] = field(default_factory=dict)
    built: dict[str, T] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, name: str) -> T:
        with self.lock:
            if name not in self.built:
                if name not in self.builders:
                    near = did_you_mean(name, self.builders)
                    raise NotFound(
                        f"no {self.noun} {name!r} in the catalogue{near}", field=self.noun
                    )
                self.built[name] = self.builders[name]()
            return self.built[name]


class Catalogue:
    """Oracles and generators by name. Safe to use from any thread."""

    def __init__(self) -> None:
        self._oracles: _Shelf[Oracle] = _Shelf("oracle")
        self._generators: _Shelf[Generator] = _Shelf("generator")

    @classmethod
    def default(cls) -> Catalogue:
        """The shipped models."""
        return cls.from_plain(SHIPPED)

    @classmethod
    def from_plain(cls, tables: Mapping[str, Any]) -> Catalogue:
        """A catalogue from configuration tables.

        Args:
            tables: ``{"oracles": {name: {"kind": ..., **parameters}}, "generators": {...}}``.
                An oracle may have ``"wrap": [{"kind": ..., **parameters}, ...]``, what is put
                around it: the first around the model, the last outermost.

        Raises:
            InvalidSpec: for an entry without a kind, an unknown kind or parameter.
        """
        catalogue = cls()
        for name, entry in _entries(tables, "oracles"):
            kind, parameters = _kind("oracles", name, entry, "torch_module")
            plugins.oracles.get(kind)
            wraps = _wraps(name, parameters.pop("wrap", []))
            build = _builder(plugins.oracles, kind, parameters)
            catalogue._oracles.builders[name] = _wrapper(build, wraps)
        for name, entry in _entries(tables, "generators"):
            kind, parameters = _kind("generators", name, entry, "diffusers_vae")
            plugins.generators.get(kind)
            catalogue._generators.builders[name] = _builder(plugins.generators, kind, parameters)
        return catalogue

    def oracle_names(self) -> list[str]:
        """Names of the oracles, sorted."""
        return sorted(self._oracles.builders)

    def generator_names(self) -> list[str]:
        """Names of the generators, sorted."""
        return sorted(self._generators.builders)

    def oracle(self, name: str) -> Oracle:
        """The oracle called `name`.

        Raises:
            NotFound: where there is none; says which names are near.
        """
        return self._oracles.get(name)

    def generator(self, name: str) -> Generator:
        """The generator called `name`.

        Raises:
            NotFound: where there is none; says which names are near.
        """
        return self._generators.get(name)

    def add_oracle(self, name: str, oracle: Oracle) -> None:
        """Registers an oracle that exists already."""
        self._oracles.builders[name] = lambda: oracle

    def add_generator(self, name: str, generator: Generator) -> None:
        """Registers a generator that exists already."""
        self._generators.builders[name] = lambda: generator


def _builder(
    registry: plugins.Registry[T], kind: str, parameters: dict[str, Any]
) -> Callable[[], T]:
    return lambda: registry.build(kind, parameters)


def _wraps(name: str, entries: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(entries, list):
        raise InvalidSpec(
            f"[oracles.{name}]: expected wrap to be a list of tables, [[oracles.{name}.wrap]]",
            field=f"oracles.{name}.wrap",
        )
    wraps = [_kind("oracles", f"{name}.wrap", entry, "cache") for entry in entries]
    for kind, _ in wraps:
        plugins.wrappers.get(kind)
    return wraps


def _wrapper(
    build: Callable[[], Oracle], wraps: list[tuple[str, dict[str, Any]]]
) -> Callable[[], Oracle]:
    def wrapped() -> Oracle:
        oracle = build()
        for kind, parameters in wraps:
            oracle = plugins.wrap(oracle, kind, parameters)
        return oracle

    return wrapped


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
