"""Results of long computations, stored on disk under a checksum of their inputs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

log = logging.getLogger(__name__)

Tensors = dict[str, torch.Tensor]


def kept(folder: Path, name: str, key: Mapping[str, Any], build: Callable[[], Tensors]) -> Tensors:
    """The tensors that `build` computes: read from disk if they are stored, otherwise computed.

    A damaged file, or a file for another key, is replaced, with a warning in the log. If a file
    cannot be written, there is only a warning.

    Args:
        folder: folder of the files; created if it does not exist.
        name: first part of the file's name.
        key: everything that the tensors depend on, as plain data.
        build: computes the tensors.
    """
    text = json.dumps(key, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    path = folder / f"{name}-{digest}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("key") == text:
                return {entry: file.get_tensor(entry) for entry in file.keys()}  # noqa: SIM118  # no dict
        log.warning("%s was written for something else; it is computed again", path)
    except FileNotFoundError:
        pass
    except (SafetensorError, OSError) as error:
        log.warning("%s is damaged (%s); it is computed again", path, error)
    tensors = build()
    _write(path, tensors, text)
    return tensors


def cache_folder(given: str) -> Path:
    """`given`, or the user's cache folder: `$XDG_CACHE_HOME/blackbox_am`."""
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "blackbox_am"


def _write(path: Path, tensors: Tensors, key: str) -> None:
    held = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file is written under another name first, so that a reader never finds an incomplete
        # file.
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            save_file(held, Path(scratch) / path.name, metadata={"key": key})
            (Path(scratch) / path.name).replace(path)
    except (SafetensorError, OSError) as error:
        log.warning("%s could not be written (%s); it will be computed again", path, error)
