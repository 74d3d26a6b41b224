"""Facts about an autoencoder that are known before its weights are read."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch

from blackbox_am.errors import InvalidSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators._diffusers import ZOO
from blackbox_am.generators._slices import ALLOCATION_FAILED
from blackbox_am.zoo import catalogue, loading

_LEVELS = (
    "block_out_channels",
    "decoder_block_out_channels",
    "encoder_block_out_channels",
    "up_block_out_channels",
)
"""Configuration fields with one entry for each level. Each level except one halves the picture."""


@dataclass(frozen=True)
class Config:
    """An autoencoder's configuration.

    Attributes:
        class_name: in diffusers.
        latent_shape: (channels, height, width).
        stimulus_shape: (channels, height, width).
        values: all of config.json.
        mean: per-channel mean of the model's latents over natural images; may be empty.
        std: per-channel deviation of the same.
    """

    class_name: str
    latent_shape: tuple[int, int, int]
    stimulus_shape: tuple[int, int, int]
    values: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_config(weights: str, class_name: str = "", size: int | None = None) -> Config:
    """The configuration of the autoencoder `weights`.

    Statistics of the latents come from `latents_mean` and `latents_std` in config.json, or,
    in the zoo, from the model's metadata.

    Args:
        weights: as for `_diffusers.read_json`.
        class_name: the required class; empty accepts any class that decodes images.
        size: side of a picture in pixels; None takes the size of the training.

    Raises:
        NotFound: if the folder, zoo entry or downloaded model does not exist.
        InvalidSpec: if the model has another class, its configuration is incomplete, or the size
            does not fit.
    """
    values = _diffusers.read_json(weights, "config.json")
    found = values.get("_class_name")
    if class_name and found != class_name:
        raise InvalidSpec(
            f"weights {weights!r}: expected a model of class {class_name}, found {found!r}",
            field="weights",
        )
    if not class_name and found != "AutoencoderKL":
        if found == "VQModel":
            raise InvalidSpec(
                f"weights {weights!r}: expected an autoencoder with continuous latents, found "
                "'VQModel'; use the generator diffusers_vq for it",
                field="weights",
            )
        _diffusers.diffusers_class(weights, found, "decode")
    channels = latent_channels(weights, values)
    scale = downscale(weights, values)
    side = _side(weights, values, size)
    if side % scale:
        raise InvalidSpec(
            f"size: expected a multiple of {scale}, by which {weights!r} shrinks pictures, got "
            f"{side}",
            field="size",
        )
    mean, std = _statistics(weights, values)
    if not len(mean) == len(std) or len(mean) not in (0, channels) or any(s <= 0 for s in std):
        raise InvalidSpec(
            f"weights {weights!r}: expected a mean and a positive deviation for each of "
            f"{channels} latent channels, got {len(mean)} and {len(std)}",
            field="weights",
        )
    pictures = int(values.get("out_channels", values.get("in_channels", 3)))
    latent_side = side // scale
    return Config(
        str(found),
        (channels, latent_side, latent_side),
        (pictures, side, side),
        values,
        mean,
        std,
    )


def downscale(weights: str, values: dict[str, Any]) -> int:
    """The factor by which the autoencoder with these `values` shrinks height and width.

    Raises:
        InvalidSpec: if the configuration does not contain the number.
    """
    for key in _LEVELS:
        if key in values:
            step = int(values.get("upsampling_scaling_factor", 2))
            return int(step ** (len(values[key]) - 1))
    raise InvalidSpec(
        f"weights {weights!r}: config.json says nothing of {_LEVELS[0]}, which gives the size "
        "of latents",
        field="weights",
    )


def load_model(weights: str, config: Config) -> torch.nn.Module:
    """The model in float32, eval mode, on the CPU, its parameters frozen.

    Raises:
        NotFound: if weights are missing.
        InvalidSpec: if the weights do not fit, or cannot be read.
    """
    if weights.startswith(ZOO):
        loaded: torch.nn.Module = loading.load_autoencoder(weights.removeprefix(ZOO))
        return loaded
    owner = _diffusers.diffusers_class(weights, config.class_name, "decode")
    return _diffusers.load_part(weights, "", owner)


def decoded(model: Any, latents: torch.Tensor, **given: Any) -> torch.Tensor:
    """The pictures (N, C, H, W) that an autoencoder decodes from latents (N, c, h, w).

    A decoder of videos that takes single images, such as the decoder of
    AutoencoderKLTemporalDecoder, receives each image as a video of one frame.

    Raises:
        InvalidSpec: if the model cannot decode images, such as a model of videos or of sound.
    """
    if "num_frames" in inspect.signature(model.decode).parameters:
        given["num_frames"] = 1
    try:
        pictures = model.decode(latents, **given).sample
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # each class raises its own errors
        if ALLOCATION_FAILED in str(error):
            raise
        told = str(error).strip().splitlines()
        raise InvalidSpec(
            f"weights: {type(model).__name__} cannot decode latents of images, of shape "
            f"{tuple(latents.shape)}: {type(error).__name__}: {told[0] if told else ''}; give an "
            "autoencoder of images",
            field="weights",
        ) from error
    found: torch.Tensor = pictures
    return found


def latent_channels(weights: str, values: dict[str, Any]) -> int:
    """Number of channels of the latents of the autoencoder with these `values`.

    Raises:
        InvalidSpec: if the configuration does not contain the number.
    """
    channels = values.get("vq_embed_dim") or values.get("latent_channels")
    if not isinstance(channels, int):
        raise InvalidSpec(
            f"weights {weights!r}: config.json says nothing of latent_channels", field="weights"
        )
    return channels


def _side(weights: str, values: dict[str, Any], size: int | None) -> int:
    if size is not None:
        return size
    trained = values.get("sample_size")
    if not isinstance(trained, int):
        raise InvalidSpec(
            f"weights {weights!r}: config.json says nothing of sample_size; give size, the side "
            "of a picture in pixels",
            field="size",
        )
    return trained


def _statistics(
    weights: str, values: dict[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = values.get("latents_mean"), values.get("latents_std")
    if mean is None and weights.startswith(ZOO):
        facts = catalogue.metadata(weights.removeprefix(ZOO))
        mean, std = facts.get("latent_mean"), facts.get("latent_std")
    return tuple(map(float, mean or ())), tuple(map(float, std or ()))
