"""Weights and metadata files, written atomically: a reader never sees an incomplete file."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def temporary_name(path: Path, suffix: str) -> Path:
    """A temporary name in the folder of ``path``, which is created if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}{suffix}")


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state as float16 safetensors, atomically and without step counters.

    Half precision halves the size of the package; readers convert to float32.
    """
    temporary = temporary_name(path, ".tmp")
    narrow = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(narrow, temporary, metadata={"format": "pt"})
    temporary.chmod(0o644)
    temporary.replace(path)


def read_weights(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Weights to resume from, or ``None`` if the file is absent or belongs to another net."""
    if not path.is_file():
        return None
    found = {name: value.float() for name, value in load_file(path).items()}
    same = all(
        name in found and found[name].shape == value.shape
        for name, value in like.items()
        if not name.endswith("num_batches_tracked")
    )
    return found if same else None


def epochs_before(path: Path, resume: bool) -> int:
    """Epochs for which the weights beside this metadata file were trained already."""
    if not (resume and path.is_file()):
        return 0
    return int(json.loads(path.read_text(encoding="utf-8")).get("epochs", 0))


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write metadata as indented JSON, atomically."""
    temporary = temporary_name(path, ".tmp")
    temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed npz file, atomically."""
    temporary = temporary_name(path, ".tmp.npz")
    np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def rounded(values: Tensor, digits: int = 5) -> list[float]:
    """A one-dimensional tensor as a list of rounded numbers for JSON."""
    return [round(float(v), digits) for v in values.detach().to(torch.float64).cpu()]


def write_model(folder: Path, model: Any) -> None:
    """Write a diffusers model in its ``save_pretrained`` layout, in float16.

    Each file is written atomically. The model in memory stays in float32.
    """
    temporary = temporary_name(folder, ".tmp")
    copy.deepcopy(model).half().save_pretrained(temporary, safe_serialization=True)
    _move(temporary, folder)


def write_pipeline(folder: Path, autoencoder: Any, unet: Any, scheduler: Any) -> None:
    """Write a latent diffusion pipeline in the layout of LDMPipeline's ``save_pretrained``.

    The layout is ``model_index.json``, ``vqvae/``, ``unet/`` and ``scheduler/``. Weights are
    written in float16, each file atomically. The models in memory stay in float32.
    """
    from diffusers import LDMPipeline

    build: Any = LDMPipeline
    temporary = temporary_name(folder, ".tmp")
    halves = (copy.deepcopy(part).half() for part in (autoencoder, unet))
    build(*halves, scheduler).save_pretrained(temporary)
    _move(temporary, folder)


def _move(source: Path, folder: Path) -> None:
    """Move every file below ``source`` to the same place below ``folder``, replacing old files."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            path.chmod(0o644)  # safetensors creates files that only their owner can read
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    shutil.rmtree(source)
