"""Sharded weights: an index file in JSON, and the safetensors files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file

from blackbox_am.errors import InvalidSpec, NotFound

SUFFIX = ".safetensors.index.json"
_SHARD = re.compile(r"(.+)-\d+-of-\d+\.safetensors")


class _Index(msgspec.Struct):
    """The content of an index.

    Attributes:
        weight_map: the file of each tensor, by name of the tensor.
    """

    weight_map: dict[str, str]


def is_index(path: Path) -> bool:
    """Whether the name of a file is that of an index."""
    return path.name.endswith(SUFFIX)


def weight_files(path: Path) -> tuple[Path, ...]:
    """The file of weights itself; for an index, the index and the files that it names.

    Raises:
        NotFound: if the index does not exist.
        InvalidSpec: if the index cannot be read, or names files in other folders.
    """
    if not is_index(path):
        return (path,)
    names = sorted(set(_read(path).weight_map.values()))
    return (path, *(path.parent / name for name in names))


def load(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of all files that an index names.

    Raises:
        NotFound: if a file does not exist.
        InvalidSpec: if the index cannot be read, or a file lacks a tensor.
    """
    state: dict[str, torch.Tensor] = {}
    for file in weight_files(path)[1:]:
        if not file.is_file():
            raise NotFound(
                f"weights: {path.name} names {file.name}, which is not in {str(path.parent)!r}; "
                "put all parts of the model into one folder",
                field="weights",
            )
        state |= load_file(file)
    missing = [name for name in _read(path).weight_map if name not in state]
    if missing:
        raise InvalidSpec(
            f"weights: the files of {path.name} lack {missing[0]!r}; they belong to another index",
            field="weights",
        )
    return state


def hint(path: Path) -> str:
    """What to give in place of one part of a sharded model, as the end of a message."""
    part = _SHARD.fullmatch(path.name)
    if part is None:
        return ""
    return f"; {path.name} is one part of a model, give its index {part.group(1)}{SUFFIX}"


def _read(path: Path) -> _Index:
    try:
        index = msgspec.json.decode(path.read_bytes(), type=_Index)
    except OSError as error:
        raise NotFound(f"weights: there is no file {str(path)!r}", field="weights") from error
    except msgspec.MsgspecError as error:
        raise InvalidSpec(
            f"weights: {path} cannot be read as an index of safetensors files, which names the "
            f"file of each tensor under 'weight_map': {error}",
            field="weights",
        ) from error
    for name in index.weight_map.values():
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise InvalidSpec(
                f"weights: {path.name} names {name!r}; expected .safetensors files in its folder",
                field="weights",
            )
    return index
