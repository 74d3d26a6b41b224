"""Reads the tables of a configuration and returns functions that build the entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from blackbox_am import plugins
from blackbox_am.catalogue._folders import folder_entry
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import InvalidSpec

T = TypeVar("T")
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """How entries of one kind are read.

    Attributes:
        noun: the name of the configuration table that holds the entries.
        registry, example: the plug-ins of this kind, and the name of one plug-in for messages.
        wrappers, wrapper: the wrappers for this kind, and the name of one wrapper for messages.
        wrap: puts a wrapper around an entry.
    """

    noun: str
    registry: plugins.Registry[T]
    example: str
    wrappers: plugins.Registry[Any]
    wrapper: str
    wrap: Callable[[T, str, dict[str, Any]], T]

    def builder(self, name: str, entry: Any) -> Callable[[Plain], T]:
        """A function that builds what `entry` describes. Its argument replaces parameters of the
        entry.

        Raises:
            InvalidSpec: for an entry without a kind, or an unknown kind.
        """
        kind, parameters = _kind(self.noun, name, entry, self.example)
        self.registry.get(kind)
        wraps = self._wraps(name, parameters.pop("wrap", []))

        def built(settings: Plain) -> T:
            made = self.registry.build(kind, {**parameters, **settings})
            for wrapper, own in wraps:
                made = self.wrap(made, wrapper, own)
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


ORACLES: Kind[Oracle] = Kind(
    "oracles", plugins.oracles, "torch_module", plugins.wrappers, "cache", plugins.wrap
)
GENERATORS: Kind[Generator] = Kind(
    "generators",
    plugins.generators,
    "diffusers_vae",
    plugins.generator_wrappers,
    "resize",
    plugins.wrap_generator,
)


def in_folder(entry: Any) -> Any:
    """A copy of a generator's entry; `folder = "mine/"` is replaced by the kind and the parameters
    that the folder's manifest gives. Parameters of the entry take precedence.

    Raises:
        NotFound: if the folder has no manifest.
        InvalidSpec: if the manifest is damaged.
    """
    if not isinstance(entry, dict) or "folder" not in entry or "kind" in entry:
        return dict(entry) if isinstance(entry, dict) else entry
    rest = {key: value for key, value in entry.items() if key != "folder"}
    return {**folder_entry(entry["folder"]), **rest}


def entries_of(tables: Mapping[str, Any], noun: str) -> list[tuple[str, Any]]:
    """Names and entries of the tables `[noun.NAME]`.

    Raises:
        InvalidSpec: if `noun` is not a table of tables.
    """
    entries = tables.get(noun, {})
    if not isinstance(entries, dict):
        raise InvalidSpec(f"[{noun}] must be tables, [{noun}.NAME]", field=noun)
    return list(entries.items())


def _kind(noun: str, name: str, entry: Any, example: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise InvalidSpec(
            f'[{noun}.{name}] must be a table with a kind, such as kind = "{example}"',
            field=f"{noun}.{name}",
        )
    return entry["kind"], {key: value for key, value in entry.items() if key != "kind"}
