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
                An entry may have ``"wrap": [{"kind": ..., **parameters}, ...]``, what is put
                around it: the first around the model, the last outermost.

        Raises:
            InvalidSpec: for an entry without a kind, an unknown kind or parameter.
        """
        catalogue = cls()
        for kind in (_ORACLES, _GENERATORS):
            shelf: _Shelf[Any] = getattr(catalogue, f"_{kind.noun}")
            for name, entry in _entries(tables, kind.noun):
                shelf.builders[name] = kind.builder(name, entry)
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

    def builder(self, name: str, entry: Any) -> Callable[[], T]:
        """Builds what `entry` describes.

        Raises:
            InvalidSpec: for an entry without a kind, or an unknown kind.
        """
        kind, parameters = _kind(self.noun, name, entry, self.example)
        self.registry.get(kind)
        wraps = self._wraps(name, parameters.pop("wrap", []))

        def built() -> T:
            made = self.registry.build(kind, parameters)
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
