"""Digests of the parts of models: files, folders, torch modules, arrays and plain values."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec
import numpy as np
import torch

from blackbox_am.core import memory_digests
from blackbox_am.core.module_digests import add_class, add_structure
from blackbox_am.errors import NotFound

DIGEST_BYTES = 16
SETTLED_SECONDS = 2.0
"""Seconds; a file that changed more recently can change again without a new time stamp."""

_CHUNK = 2**20
_PROCESS = uuid.uuid4().hex

_files: dict[tuple[str, int, int, int], str] = {}
_files_lock = threading.Lock()
_tokens: dict[int, tuple[Callable[[], object], str]] = {}
"""Names of objects by memory address, with a reference to the object."""
_tokens_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Digest:
    """Hexadecimal digits that identify a content."""

    text: str


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A name that only one object in the memory of this process has."""

    text: str

    @classmethod
    def of(cls, value: object) -> Unnamed:
        """The same name for the same object, and another name for every other object."""
        bound = getattr(value, "__self__", None)
        if inspect.ismethod(value) and bound is not None:  # a new object at each access
            return cls(f"{cls.of(bound).text}.{value.__name__}")
        with _tokens_lock:
            known = _tokens.get(id(value))
            if known is None or known[0]() is not value:
                known = _tokens[id(value)] = (_reference(value), uuid.uuid4().hex)
        return cls(f"{_PROCESS}-{known[1]}")


def paths_in(value: object) -> tuple[Path, ...]:
    """The files and folders of `value`: a `Path`, several paths, or a text that is a path.

    A single word is never interpreted as a folder, because many parameters are words.
    """
    if isinstance(value, Path):
        return (value,)
    if isinstance(value, tuple) and value and all(isinstance(item, Path) for item in value):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        return ()
    try:
        path = Path(value)
        return (path,) if path.is_file() or (os.sep in value and path.is_dir()) else ()
    except OSError:  # longer than a path can be
        return ()


def of_paths(paths: Sequence[Path]) -> str:
    """Digest of the contents of files or folders, in this order and independent of their own names.

    The names of files and folders inside a folder are part of the digest.

    Raises:
        NotFound: if a file or folder does not exist.
    """
    found = [_of_folder(path) if path.is_dir() else _of_file(path) for path in paths]
    return found[0] if len(found) == 1 else of_text("\n".join(found))


def of_text(text: str) -> str:
    """Digest of a text; the text cannot be recovered from it."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


def of_value(value: object) -> str | Digest | Unnamed:
    """The text of a plain value, the digest of a content, or a name in this process."""
    plain = _plain(value)
    if plain is not None:
        return plain
    if isinstance(value, (Digest, Unnamed)):
        return value
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    if memory_digests.add(digest, value):
        return Digest(digest.hexdigest())
    return Unnamed.of(value)


def structure(module: torch.nn.Module) -> Digest:
    """Digest of a module's classes, for a module whose weights are identified separately."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    add_structure(digest, module)
    return Digest(digest.hexdigest())


def of_class(kind: type) -> str:
    """Digest of the code and the constants of a class outside the installed packages."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    add_class(digest, kind)
    return digest.hexdigest()


def _reference(value: object) -> Callable[[], object]:
    try:
        return weakref.ref(value)
    except TypeError:  # kept permanently, so that no other object gets its address
        return lambda: value


def _plain(value: object) -> str | None:
    """The text of a plain value; None if the value is not plain."""
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value)
    if isinstance(value, (tuple, list)):
        return _enclosed("()", [_plain(item) for item in value])
    if isinstance(value, (set, frozenset)):
        return _enclosed("{}", sorted((_plain(item) for item in value), key=str))
    if isinstance(value, Mapping):
        pairs = [(_plain(key), _plain(item)) for key, item in value.items()]
        texts = [None if None in pair else f"{pair[0]}: {pair[1]}" for pair in pairs]
        return _enclosed("{}", sorted(texts, key=str))
    parts = _attributes(value)
    if parts is None:
        return None
    text = _plain(parts)
    return None if text is None else f"{type(value).__name__}{text}"


def _attributes(value: object) -> dict[str, object] | None:
    """The fields of a structure of plain data, by name; None for any other value."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Digest, Unnamed)):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    return None


def _enclosed(ends: str, parts: Sequence[str | None]) -> str | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return f"{ends[0]}{', '.join(known)}{ends[1]}"


def _of_file(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise NotFound(f"there is no file {str(path)!r} ({error.strerror})") from error
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
    with _files_lock:
        known = _files.get(key)
    if known is not None:
        return known
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise NotFound(f"the file {str(path)!r} cannot be read ({error.strerror})") from error
    found = digest.hexdigest()
    if time.time() - status.st_mtime > SETTLED_SECONDS:
        with _files_lock:
            _files[key] = found
    return found


def _of_folder(path: Path) -> str:
    files = sorted(one for one in path.rglob("*") if one.is_file())
    lines = [f"{one.relative_to(path).as_posix()}={_of_file(one)}" for one in files]
    return of_text("\n".join(lines))
