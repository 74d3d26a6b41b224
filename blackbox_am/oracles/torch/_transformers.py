"""Image models of transformers: their folders, and the facts in their configuration files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from blackbox_am.core.weights import few
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound, did_you_mean

_FILES = ["*.json", "*.safetensors"]
_UNNAMED = re.compile(r"LABEL_\d+")


@dataclass(frozen=True)
class Facts:
    """Facts from a model's source; empty fields are unknown.

    Attributes:
        stimulus_shape: shape of one stimulus.
        mean: mean that is subtracted from stimuli in [0, 1].
        std: divisor after the subtraction.
        labels: class names.
    """

    stimulus_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


def folder_of(name: str, *, download: bool) -> Path:
    """The folder of a model: `name` itself, or the folder of a downloaded model of the hub.

    Only configurations and safetensors are downloaded, and only if downloads are allowed.

    Raises:
        NotFound: if neither exists.
    """
    if Path(name).is_dir():
        return Path(name)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra.of("transformers", "hf") from error
    try:
        found = snapshot_download(name, local_files_only=not download, allow_patterns=_FILES)
    except (OSError, ValueError) as error:  # the hub's errors are subclasses of these
        raise NotFound(
            f"model: expected a folder in save_pretrained's layout, or the name of a model that "
            f"was downloaded before (or set download = true), got {name!r}: {error}",
            field="model",
        ) from error
    return Path(found)


def read_facts(folder: Path) -> Facts:
    """Shape and normalisation of stimuli, and the names of classes.

    From config.json: `image_size`, `num_channels` (its own, or those of its `vision_config`)
    and `id2label`. From preprocessor_config.json: `image_mean` and `image_std`, the factor that
    pixels are multiplied with before, and the size of images if config.json does not contain it.

    Raises:
        NotFound: if config.json does not exist.
        InvalidSpec: if the file is not a JSON object.
    """
    config = _json(folder / "config.json")
    if config is None:
        raise NotFound(
            f"model: expected a folder with config.json, as save_pretrained writes it; {folder} "
            "has none",
            field="model",
        )
    vision = {**config, **(config.get("vision_config") or {})}
    processor = _json(folder / "preprocessor_config.json")
    if processor is None:
        processor = (_json(folder / "processor_config.json") or {}).get("image_processor") or {}
    size = _size(vision.get("image_size")) or _processed_size(processor)
    channels = int(vision.get("num_channels", 3))
    labels = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    names = tuple(labels[index] for index in sorted(labels))
    mean, std = _normalisation(processor)
    return Facts(
        (channels, *size) if size else (),
        mean,
        std,
        () if all(_UNNAMED.fullmatch(name) for name in names) else names,
    )


def load_model(folder: Path, architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """The model, on the CPU, with images as its only argument.

    Only safetensors are read, and only code of transformers runs, never code from the model's
    folder. For a model with several towers, such as CLIP, the image features are the output.

    Args:
        folder: in save_pretrained's layout.
        architecture: the class, such as `ViTModel`; empty takes the class in config.json.
        arguments: given to `from_pretrained`, such as `{"add_pooling_layer": False}`.

    Raises:
        MissingExtra: if transformers is not installed.
        InvalidSpec: for a class that does not exist, or does not take images; for weights that do
            not fit the class.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra.of("transformers", "hf") from error
    named = (_json(folder / "config.json") or {}).get("architectures") or ["AutoModel"]
    name = architecture or str(named[0])
    builder = getattr(transformers, name, None)
    if not isinstance(builder, type) or not hasattr(builder, "from_pretrained"):
        near = did_you_mean(name, (known for known in dir(transformers) if "Model" in known))
        raise InvalidSpec(
            f"architecture: transformers has no class {name!r}{near}", field="architecture"
        )
    try:
        model, found = builder.from_pretrained(
            folder,
            **arguments,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except OSError as error:
        raise NotFound(
            f"model: expected model.safetensors beside config.json in {folder}: {error}",
            field="model",
        ) from error
    except Exception as error:  # readers of weights raise many kinds of errors
        raise InvalidSpec(
            f"model: {name} cannot be loaded from {folder}: {error}", field="model"
        ) from error
    missing = sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])})
    if missing:
        raise InvalidSpec(
            f"architecture: {folder} holds no weights for {few(missing)} of {name}, which would be "
            "random; choose the class that was saved, or leave that part out by an argument, such "
            "as arguments = {add_pooling_layer = false}",
            field="architecture",
        )
    return _seeing(model, name)


def _seeing(model: Any, name: str) -> nn.Module:
    if hasattr(model, "get_image_features"):
        return _ImageTower(model)
    if model.main_input_name != "pixel_values":
        raise InvalidSpec(
            f"architecture: {name} takes {model.main_input_name}; expected a model of images, "
            "which takes pixel_values",
            field="architecture",
        )
    seeing: nn.Module = model
    return seeing


class _ImageTower(nn.Module):
    """The image features of a model with several towers, under the model's own names."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        # Not a child: it would give every module a second name.
        self._features = model.get_image_features

    def forward(self, stimuli: torch.Tensor) -> torch.Tensor:
        found = self._features(pixel_values=stimuli)
        # Since transformers 5 a record, whose pooled output contains the projected features.
        features: torch.Tensor = getattr(found, "pooler_output", found)
        return features


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidSpec(
            f"model: {path} cannot be read as JSON: {error}", field="model"
        ) from error
    if not isinstance(found, dict):
        raise InvalidSpec(f"model: {path} holds no JSON object", field="model")
    return found


def _size(value: Any) -> tuple[int, ...]:
    """(height, width), from one number or two numbers."""
    if isinstance(value, int):
        return value, value
    return tuple(map(int, value)) if isinstance(value, (list, tuple)) and len(value) == 2 else ()


def _processed_size(processor: dict[str, Any]) -> tuple[int, ...]:
    cropped = processor.get("crop_size") if processor.get("do_center_crop") else None
    value = cropped or processor.get("size") or ()
    if isinstance(value, dict):
        value = (value.get("height"), value.get("width"))
        side = (processor.get("size") or {}).get("shortest_edge")
        value = side if None in value else value
    return _size(value)


def _normalisation(processor: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation for pixels in [0, 1]; the files of transformers assume pixels in [0,
    255].
    """
    if not processor:
        return (), ()
    scale = 255.0
    if processor.get("do_rescale", True):
        scale *= float(processor.get("rescale_factor", 1 / 255))
    normalises = processor.get("do_normalize", True) and processor.get("image_mean") is not None
    means = processor["image_mean"] if normalises else [0.0]
    deviations = processor["image_std"] if normalises else [1.0]
    offset = 1.0 if processor.get("rescale_offset") else 0.0
    return (
        tuple((float(mean) + offset) / scale for mean in means),
        tuple(float(deviation) / scale for deviation in deviations),
    )
