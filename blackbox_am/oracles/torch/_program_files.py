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


def read_script(file: Path, device: str) -> Any:
    """The program in a file written by `torch.jit.save`.

    Reading the file runs nothing. The program itself runs PyTorch's operations, some of which read
    and write files: PyTorch does not guarantee that a program from an unknown source is harmless.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file is not such a program.
    """
    with _reading(file, "TorchScript"), warnings.catch_warnings():
        # The warning that TorchScript is superseded does not help the owner of such a file.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(file, map_location=device)  # type: ignore[no-untyped-call]


def read_exported(file: Path) -> ExportedProgram:
    """The program in a file written by `torch.export.save`.

    The file contains a graph of PyTorch's operations and arrays, and no code. Archives with objects
    that only pickle can read are refused, because pickle can run code.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file is not such a program, or contains such objects.
    """
    with _reading(file, "torch.export"):
        _check_pickles(file)
        return torch.export.load(file)


@contextmanager
def _reading(file: Path, what: str) -> Iterator[None]:
    if not file.is_file():
        raise NotFound(f"model: there is no file {file}", field="model")
    try:
        yield
    except BlackboxError:
        raise
    except Exception as error:  # the readers raise many kinds of errors
        raise InvalidSpec(
            f"model: {file} cannot be read as a program of {what}: {error}", field="model"
        ) from error


def _check_pickles(file: Path) -> None:
    """Refuses archives with objects that only an unsafe pickle could read.

    `torch.export.load` reads tensors that are no plain arrays, constants and sample inputs with
    pickle, and where its safe reader fails, with the unsafe one.
    """
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        raw = set()
        for name in names:
            if name.endswith("_config.json"):
                entries = json.loads(archive.read(name)).get("config", {}).values()
                raw |= {one.get("path_name") for one in entries if not one.get("use_pickle", True)}
        for name in names:
            start = archive.read(name)
            pickled = start[:4] == b"PK\x03\x04" or start[:1] == b"\x80"
            if not pickled or name.rsplit("/", 1)[-1] in raw:
                continue
            try:
                torch.load(io.BytesIO(start), weights_only=True, map_location="cpu")
            except Exception as error:  # the safe reader may raise anything
                raise InvalidSpec(
                    f"model: {file} holds objects in {name} that only pickle could read, which "
                    f"runs code of the file; export the module again without them: {error}",
                    field="model",
                ) from error
