"""Facts about a diffusion pipeline that are known before its weights are read."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.utils.checkpoint import checkpoint

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators.diffusers._sampling import SAMPLERS

Prior = Literal["sphere", "normal"]
Precision = Literal["float32", "bfloat16"]
PRIORS = ("sphere", "normal")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def read_pipeline(weights: str, classes: tuple[str, ...], parts: dict[str, str]) -> None:
    """Checks that model_index.json of `weights` names one of `classes` with these `parts`.

    Args:
        weights: as for `_diffusers.read_json`.
        classes: accepted classes of pipelines.
        parts: the class of each part.

    Raises:
        NotFound: if the pipeline does not exist.
        InvalidSpec: if the pipeline has another class, or other parts.
    """
    index = _diffusers.read_json(weights, "model_index.json")
    found = index.get("_class_name")
    if found not in classes:
        raise InvalidSpec(
            f"weights {weights!r}: expected a pipeline of class {' or '.join(classes)}, found "
            f"{found!r}",
            field="weights",
        )
    for part, owner in parts.items():
        named = index.get(part)
        if not (isinstance(named, list) and len(named) == 2 and named[1] == owner):
            raise InvalidSpec(
                f"weights {weights!r}: expected the pipeline's {part} to be of class {owner}, "
                f"model_index.json says {named!r}",
                field="weights",
            )


def read_unet(weights: str) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """unet/config.json, and the shape (channels, height, width) of the network's input.

    Raises:
        NotFound: if the file is missing.
        InvalidSpec: if the file contains no shape, or the shapes of the network's input and output
            differ.
    """
    values = _diffusers.read_json(weights, "unet/config.json")
    size, channels = values.get("sample_size"), values.get("in_channels", 3)
    sides = size if isinstance(size, (list, tuple)) else (size, size)
    if not (isinstance(channels, int) and all(isinstance(n, int) and n > 0 for n in sides)):
        raise InvalidSpec(
            f"weights {weights!r}: expected unet/config.json to give in_channels and "
            f"sample_size, got {channels!r} and {size!r}",
            field="weights",
        )
    out = values.get("out_channels", channels)
    if out != channels:
        raise InvalidSpec(
            f"weights {weights!r}: expected a network with as many channels out as in, "
            f"{channels}, got {out}; learned variances are not supported",
            field="weights",
        )
    return values, (channels, sides[0], sides[1])


def read_scheduler(weights: str) -> dict[str, Any]:
    """scheduler/scheduler_config.json.

    Raises:
        NotFound: if the file is missing.
    """
    return _diffusers.read_json(weights, "scheduler/scheduler_config.json")


def check_choices(owner: Any) -> None:
    """Checks the parameters that diffusion generators share.

    Raises:
        InvalidSpec: for an unknown word, or a number out of range.
    """
    for name, known in (
        ("sampler", SAMPLERS),
        ("prior", PRIORS),
        ("dtype", tuple(PRECISIONS)),
    ):
        check_word(name, getattr(owner, name), known)
    for name, least in (("steps", 1), ("rows", 0)):
        number = getattr(owner, name)
        if number < least:
            raise InvalidSpec(f"{name}: expected {least} or more, got {number}", field=name)


def check_word(name: str, word: str, known: tuple[str, ...]) -> None:
    """Checks that the parameter `name` is one of the words `known`.

    Raises:
        InvalidSpec: if it is another word.
    """
    if word not in known:
        raise InvalidSpec(f"{name}: expected {' or '.join(known)}, got {word!r}", field=name)


def noise_space(prior: Prior, shape: tuple[int, int, int]) -> SpaceSpec:
    """The space in which standard normal noise of `shape` is searched: the normal space, or the
    sphere of radius sqrt(D), near which almost all normal noise lies.
    """
    channels, height, width = shape
    return SpaceSpec(prior, channels * height * width, image_shape=shape)


class Denoiser(torch.nn.Module):
    """A pipeline's network, run in a given precision.

    Args:
        unet: diffusers' network.
        precision: of the network's computation. Samples stay in float32.
        checkpointing: whether the backward pass computes each step again, to save memory.
    """

    def __init__(self, unet: Any, precision: Precision, *, checkpointing: bool) -> None:
        super().__init__()
        self.precision = PRECISIONS[precision]
        self.unet = unet if precision == "float32" else unet.to(self.precision)
        self.checkpointing = checkpointing

    def forward(
        self, samples: torch.Tensor, time: torch.Tensor, **given: torch.Tensor | None
    ) -> torch.Tensor:
        """(N, C, H, W) float32: the network's output for `samples` at `time`."""
        said: torch.Tensor
        if self.checkpointing and torch.is_grad_enabled():
            said = checkpoint(self._ask, samples, time, given, use_reentrant=False)
        else:
            said = self._ask(samples, time, given)
        return said

    def _ask(
        self, samples: torch.Tensor, time: torch.Tensor, given: dict[str, torch.Tensor | None]
    ) -> torch.Tensor:
        said = self.unet(samples.to(self.precision), time.to(samples.device), **given)
        wide: torch.Tensor = said.sample.to(torch.float32)
        return wide
