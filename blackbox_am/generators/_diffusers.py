"""Autoencoders in diffusers' layout: where they lie, what their configuration says."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.zoo import catalogue, loading

ZOO = "zoo:"
LOADING = threading.Lock()

_NEEDED = ("out_channels", "latent_channels", "sample_size", "block_out_channels")


@dataclass(frozen=True)
class Config:
    """What is known of an autoencoder before its weights are read.

    Attributes:
        latent_shape: (channels, height, width).
        stimulus_shape: (channels, height, width).
        values: all of config.json.
        mean: per-channel mean of the model's latents over natural images; may be empty.
        std: per-channel deviation of the same.
    """

    latent_shape: tuple[int, int, int]
    stimulus_shape: tuple[int, int, int]
    values: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_config(weights: str, class_name: str) -> Config:
    """The configuration of `weights`, which must be of diffusers' class `class_name`.

    Statistics of the latents come from `latents_mean` and `latents_std` in config.json, or,
    in the zoo, from the model's metadata.

    Raises:
        NotFound: where there is no such folder, zoo entry or downloaded model.
        InvalidSpec: where it is of another class, or its configuration lacks something.
    """
    values = _values(weights, class_name)
    found = values.get("_class_name")
    if found != class_name:
        raise InvalidSpec(
            f"weights {weights!r}: expected an {class_name}, found {found!r}", field="weights"
        )
    missing = [key for key in _NEEDED if key not in values]
    if missing:
        raise InvalidSpec(
            f"weights {weights!r}: config.json says nothing of {', '.join(missing)}",
            field="weights",
        )
    size = int(values["sample_size"])
    channels = int(values["latent_channels"])
    side = size // 2 ** (len(values["block_out_channels"]) - 1)
    mean, std = _statistics(weights, values)
    if not len(mean) == len(std) or len(mean) not in (0, channels) or any(s <= 0 for s in std):
        raise InvalidSpec(
            f"weights {weights!r}: expected a mean and a positive deviation for each of "
            f"{channels} latent channels, got {len(mean)} and {len(std)}",
            field="weights",
        )
    return Config(
        (channels, side, side), (int(values["out_channels"]), size, size), values, mean, std
    )


def load_model(weights: str, class_name: str) -> Any:
    """The model in float32, eval mode, on the CPU, its parameters frozen.

    Raises:
        NotFound: where weights are missing.
        InvalidSpec: where they cannot be read.
    """
    if weights.startswith(ZOO):
        return loading.load_autoencoder(weights.removeprefix(ZOO))
    import diffusers

    try:
        model = getattr(diffusers, class_name).from_pretrained(
            weights, local_files_only=True, torch_dtype=torch.float32, low_cpu_mem_usage=False
        )
    except OSError as error:
        raise NotFound(
            f"weights {weights!r}: expected diffusion_pytorch_model.safetensors beside "
            f"config.json, as save_pretrained writes them: {error}",
            field="weights",
        ) from error
    except Exception as error:  # every reader of weights has its own errors
        raise InvalidSpec(
            f"weights {weights!r}: the weights do not fit their configuration, or are damaged: "
            f"{error}",
            field="weights",
        ) from error
    return model.eval().requires_grad_(False)


def _values(weights: str, class_name: str) -> dict[str, Any]:
    zoo = weights.removeprefix(ZOO)
    folder = Path(weights) if zoo == weights else catalogue.path(zoo)
    if not folder.is_dir():
        return _downloaded(weights, class_name)
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            f"weights {weights!r}: expected a folder with config.json, as save_pretrained "
            "writes it; there is none",
            field="weights",
        ) from error
    except ValueError as error:
        raise InvalidSpec(
            f"weights {weights!r}: config.json is no JSON: {error}", field="weights"
        ) from error
    return dict(values)


def _downloaded(weights: str, class_name: str) -> dict[str, Any]:
    import diffusers

    try:
        return dict(getattr(diffusers, class_name).load_config(weights, local_files_only=True))
    except OSError as error:
        raise NotFound(
            f"weights {weights!r}: expected zoo:NAME, a folder in save_pretrained's layout, or "
            "the name of a model that was downloaded before",
            field="weights",
        ) from error


def _statistics(
    weights: str, values: dict[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = values.get("latents_mean"), values.get("latents_std")
    if mean is None and weights.startswith(ZOO):
        facts = catalogue.metadata(weights.removeprefix(ZOO))
        mean, std = facts.get("latent_mean"), facts.get("latent_std")
    return tuple(map(float, mean or ())), tuple(map(float, std or ()))


def per_channel(numbers: tuple[float, ...]) -> torch.Tensor:
    """(1, C, 1, 1) float32."""
    return torch.tensor(numbers, dtype=torch.float32).reshape(1, -1, 1, 1)


def to_stimuli(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in about [-1, 1] to stimuli in [0, 1]; what lies outside is cut off."""
    return (pictures / 2 + 0.5).clamp(0, 1)
