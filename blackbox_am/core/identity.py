"""The identity of a model: kind, parameters, and digests of all files and objects that it uses.

A study, a cache and a server compare fingerprints before they combine the answers of two oracles
or the stimuli of two generators.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from blackbox_am.core import digests
from blackbox_am.core.code_digests import own_code
from blackbox_am.core.digests import Digest, Unnamed

SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of an oracle or a generator: everything that its results depend on.

    Attributes:
        kind: the plug-in's name.
        parameters: its parameters as text, by name; those of an inner plug-in follow a dot,
            `inner.bits`. A secret is hashed.
        contents: digests of files, folders and objects in memory, by the name of the parameter.
        unnamed: the entries of `contents` that only this process can identify, such as a Python
            function without a name.
    """

    kind: str
    parameters: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    unnamed: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """32 hexadecimal digits, equal for equal fingerprints."""
        text = repr((self.kind, sorted(self.parameters.items()), sorted(self.contents.items())))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def difference(self, other: Fingerprint) -> str:
        """The differences between this fingerprint (earlier) and `other` (now), as the end of a
        sentence.

        Empty for equal fingerprints.
        """
        if self.digest == other.digest:
            return ""
        if self.kind != other.kind:
            return f"the kind was {self.kind!r} and is {other.kind!r}"
        parts = [
            f"the parameter {name} was {_shown(before)} and is {_shown(now)}"
            for name, before, now in _changed(self.parameters, other.parameters)
        ]
        for name, before, now in _changed(self.contents, other.contents):
            if name in self.unnamed or name in other.unnamed:
                parts.append(f"{name} is an object in memory that has no name outside its process")
            else:
                parts.append(f"the content of {name} changed ({_brief(before)} to {_brief(now)})")
        return "; ".join(parts)


class Identified:
    """A plug-in with a fingerprint: an oracle or a generator.

    A subclass is a frozen dataclass whose fields are its parameters.
    """

    kind: ClassVar[str]
    """The plug-in's name in configurations, which is the name of its file."""
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset()
    """Parameters without influence on any answer, such as a timeout. Fields with `compare=False`
    are excluded too.
    """

    def contents(self) -> Mapping[str, object]:
        """The files and objects that the plug-in uses, by the name of the parameter that gives
        them.

        A value is a `Path` (of a file or a folder) or a tuple of paths, an object in memory, a
        `Digest` that is known already, or None if the parameter is ignored. The value replaces the
        parameter in the fingerprint. Other parameters are identified as follows: a plain value by
        its text, a text that is the path of a file by the file's content, and an object in memory
        by its content. Override this method if a parameter names files in another way.
        """
        return {}

    def fingerprint(self) -> Fingerprint:
        """The fingerprint: two objects with equal fingerprints give the same results, also later.

        Files are read once for each object, because the object keeps its loaded content. Objects in
        memory are read each time, because their owner can change them.

        Raises:
            NotFound: if a file is missing.
        """
        known = vars(self).setdefault("_file_digests", {})
        return _Collector(known).of(self)


def versions_of(owner: Identified) -> tuple[object, ...]:
    """A cheap test for changes of the tensors of `owner`: their addresses and versions.

    PyTorch counts the changes of each tensor, so that the value differs after each training step.
    Changes through `tensor.data` are not counted.
    """
    found: list[object] = []
    values = [value for _, value, _ in _fields(owner)]
    for value in values:
        if isinstance(value, Identified):
            found.append(versions_of(value))
        elif isinstance(value, nn.Module):
            tensors = [*value.parameters(), *value.buffers()]
            found.append(tuple((t.data_ptr(), t._version) for t in tensors))  # noqa: SLF001
    return tuple(found)


class _Collector:
    """Build the fingerprint of one object.

    Args:
        known: digests of files that the object has read before, by parameter.
    """

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known
        self.parameters: dict[str, str] = {}
        self.contents: dict[str, str] = {}
        self.unnamed: list[str] = []

    def of(self, owner: Identified) -> Fingerprint:
        given = dict(owner.contents())
        if own_code(type(owner)):  # a class of the user, who may edit its code
            self.contents["class"] = digests.of_class(type(owner))
        for name, value, secret in _fields(owner):
            if name not in given:
                self._add(name, value, secret=secret)
        for name, value in given.items():
            if value is not None:
                self._add(name, value, secret=False)
        return Fingerprint(owner.kind, self.parameters, self.contents, tuple(self.unnamed))

    def _add(self, name: str, value: object, *, secret: bool) -> None:
        if isinstance(value, Identified):
            self._add_inner(name, value.fingerprint())
            return
        paths = digests.paths_in(value)
        if paths:
            if name not in self._known:
                self._known[name] = digests.of_paths(paths)
            self.contents[name] = self._known[name]
            return
        found = digests.of_value(value)
        if isinstance(found, Unnamed):
            self.unnamed.append(name)
            self.contents[name] = found.text
        elif isinstance(found, Digest):
            self.contents[name] = found.text
        else:
            self.parameters[name] = digests.of_text(found) if secret else found

    def _add_inner(self, name: str, inner: Fingerprint) -> None:
        self.parameters[f"{name}.kind"] = inner.kind
        self.parameters |= {f"{name}.{key}": text for key, text in inner.parameters.items()}
        self.contents |= {f"{name}.{key}": text for key, text in inner.contents.items()}
        self.unnamed += [f"{name}.{key}" for key in inner.unnamed]


def _fields(owner: Identified) -> Iterator[tuple[str, Any, bool]]:
    """Name, value, and whether it is a secret, of each parameter that answers depend on."""
    if not dataclasses.is_dataclass(owner):
        # Its class may have any attributes, so only the object itself can be identified.
        yield "itself", Unnamed.of(owner), False
        return
    own = bool(own_code(type(owner)))
    for one in dataclasses.fields(owner):
        # In a class of the user, a value that each object creates for itself is a log, a lock or a
        # similar value, which changes while the object is used.
        kept = own and one.default_factory is not dataclasses.MISSING
        if one.compare and not kept and one.name not in owner.excluded_from_identity:
            yield one.name, getattr(owner, one.name), not one.repr


def _changed(
    before: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[tuple[str, str | None, str | None]]:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield name, before.get(name), now.get(name)


def _shown(text: str | None) -> str:
    if text is None:
        return "not there"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _brief(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:8]
