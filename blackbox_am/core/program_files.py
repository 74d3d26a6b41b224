"""Files of TorchScript and of `torch.export`, read without running Python code from them."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from blackbox_am.errors import BlackboxError, InvalidSpec, NotFound

_TEXTS = {
    "archive_format",
    "archive_version",
    "byteorder",
    "serialized_exported_program.json",
    "version",
}
"""Members of an archive that are read as text."""
_TEXT_FOLDERS = ("extra/", ".data/")
_PAYLOADS = ("data/weights/", "data/constants/")
"""Folders with one file for each array, and `*_config.json` with how each is read."""
_OBJECTS = ("custom_obj_", "opaque_obj_")
"""Constants that are objects, which pickle reads without a restriction."""


def read_script(file: Path, device: str, field: str = "model") -> Any:
    """The program in a file written by `torch.jit.save`.

    Reading the file runs nothing. The program itself runs PyTorch's operations, some of which read
    and write files: PyTorch does not guarantee that a program from an unknown source is harmless.

    Args:
        file: the file.
        device: where the weights are put.
        field: the parameter that names the file, for messages.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file is not such a program.
    """
    with _reading(file, "TorchScript", field), warnings.catch_warnings():
        # The warning that TorchScript is superseded does not help the owner of such a file.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(file, map_location=device)  # type: ignore[no-untyped-call]


def read_exported(file: Path, field: str = "model") -> ExportedProgram:
    """The program in a file written by `torch.export.save`.

    The file contains a graph of PyTorch's operations and arrays, and no code. Archives with objects
    that only pickle can read are refused, because pickle can run code. So are compiled libraries.

    Args:
        file: the file.
        field: the parameter that names the file, for messages.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file is not such a program, or contains such objects.
    """
    with _reading(file, "torch.export", field):
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, file, field)
        return torch.export.load(file)


@contextmanager
def _reading(file: Path, what: str, field: str) -> Iterator[None]:
    if not file.is_file():
        raise NotFound(f"{field}: there is no file {file}", field=field)
    try:
        yield
    except BlackboxError:
        raise
    except Exception as error:  # the readers raise many kinds of errors
        lines = str(error).strip().splitlines()
        raise InvalidSpec(
            f"{field}: cannot read {str(file)!r} as a program of {what}: {type(error).__name__}: "
            f"{lines[0] if lines else 'no more is known'}",
            field=field,
        ) from error


def _check_members(archive: zipfile.ZipFile, file: Path, field: str) -> None:
    """Refuses an archive that has a member other than texts, graphs and arrays.

    `torch.export.load` reads arrays that are not plain, constants and sample inputs with pickle,
    and uses its unsafe reader where the safe one fails. It loads compiled libraries too.
    """
    names = archive.namelist()
    root = _root(names)
    if len(set(names)) < len(names):
        raise _refused(file, field, "two members of one name")
    raw, pickled = _arrays(archive, root)
    for name in names:
        inner = name.removeprefix(root)
        folder = inner.endswith("/") and not archive.getinfo(name).file_size
        if inner not in pickled and (inner in raw or folder or _is_text(inner)):
            continue
        if inner.startswith(_TEXT_FOLDERS) or inner.startswith("."):
            continue
        if not inner.endswith((".pt", ".json")) and not inner.startswith(_PAYLOADS):
            raise _refused(file, field, f"{name}, which is neither a graph nor an array")
        if inner.rpartition("/")[2].startswith(_OBJECTS):
            raise _refused(file, field, f"objects in {name} that only pickle could read")
        try:
            torch.load(io.BytesIO(archive.read(name)), weights_only=True, map_location="cpu")
        except Exception as error:  # the safe reader may raise anything
            what = f"objects in {name} that only pickle could read"
            raise _refused(file, field, what) from error


def _root(names: list[str]) -> str:
    """The folder of all members, with a slash; empty if there is none."""
    root = names[0].partition("/")[0] + "/" if names else ""
    return root if all(name.startswith(root) for name in names) else ""


def _is_text(inner: str) -> bool:
    """Whether torch reads this member as text. Its name alone does not say so: the reader may be
    told to unpickle a file with any name.
    """
    folder, _, name = inner.rpartition("/")
    return (
        inner in _TEXTS
        or (folder == "models" and name.endswith(".json"))
        or (folder + "/" in _PAYLOADS and name.endswith("_config.json"))
    )


def _arrays(archive: zipfile.ZipFile, root: str) -> tuple[set[str], set[str]]:
    """The members that are read as plain arrays, and those that are read with pickle."""
    raw, pickled = set[str](), set[str]()
    for name in archive.namelist():
        inner = name.removeprefix(root)
        folder = inner.rpartition("/")[0] + "/"
        if folder in _PAYLOADS and inner.endswith("_config.json"):
            for entry in json.loads(archive.read(name))["config"].values():
                path = str(entry["path_name"])
                plain = not entry.get("use_pickle", True) and not path.startswith(_OBJECTS)
                (raw if plain else pickled).add(folder + path)
    return raw - pickled, pickled


def _refused(file: Path, field: str, what: str) -> InvalidSpec:
    return InvalidSpec(
        f"{field}: {file} holds {what}, which could run code of the file; export the module again "
        "without it",
        field=field,
    )
