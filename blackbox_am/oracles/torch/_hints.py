"""What to do about a model that refuses its stimuli: tokens, one-hot rows, exchanged axes."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import nn

from blackbox_am.errors import OracleFailed
from blackbox_am.oracles.torch._places import takes_hooks

_INDICES = re.compile(
    r"scalar types: Long|LongTensor|index tensor|torch\.embedding|must be .*[Ll]ong"
)
"""Messages of PyTorch where numbers were given and integers were expected."""


def hint_of(
    message: str,
    model: nn.Module,
    forward: Callable[[torch.Tensor], None],
    stimuli: torch.Tensor,
) -> str:
    """A sentence that says which stimuli the model takes; empty if nothing is known.

    Args:
        message: of the exception that the model raised.
        model: the model.
        forward: runs it on a batch.
        stimuli: (N, *stimulus), on which the model raised.
    """
    shape = tuple(stimuli.shape[1:])
    name, reader = _first_reader(model, forward, stimuli) or _embedding_of(model)
    if isinstance(reader, (nn.Embedding, nn.EmbeddingBag)):
        return _for_tokens(shape, f"its layer {name!r}", reader.num_embeddings)
    if _INDICES.search(message):
        return _for_tokens(shape, "it", None)
    if isinstance(reader, nn.Conv1d):
        return _for_rows(shape, name, reader.in_channels, first=True)
    if isinstance(reader, nn.Linear):
        return _for_rows(shape, name, reader.in_features, first=False)
    return ""


def _first_reader(
    model: nn.Module, forward: Callable[[torch.Tensor], None], stimuli: torch.Tensor
) -> tuple[str, nn.Module] | None:
    """The first layer, and its name, if it reads the stimuli themselves."""
    started: list[tuple[str, nn.Module, object]] = []

    def hook(name: str) -> Callable[..., None]:
        def start(module: nn.Module, args: Any) -> None:
            started.append((name, module, args[0] if args else None))

        return start

    with ExitStack() as stack, suppress(OracleFailed), torch.no_grad():
        for name, module in model.named_modules():
            if name and takes_hooks(module) and not any(module.children()):
                stack.callback(module.register_forward_pre_hook(hook(name)).remove)
        forward(stimuli)
    if not started:
        return None
    name, module, values = started[0]
    reads = isinstance(values, torch.Tensor) and values.numel() == stimuli.numel()
    return (name, module) if reads else ("", module)


def _embedding_of(model: nn.Module) -> tuple[str, nn.Module | None]:
    """The embedding of tokens of a model of transformers, by its own word."""
    find = getattr(model, "get_input_embeddings", None)
    if callable(find):
        with suppress(NotImplementedError, AttributeError):
            found = find()
            names = [name for name, module in model.named_modules() if module is found]
            if names and isinstance(found, nn.Embedding):
                return names[0], found
    return "", None


def _for_tokens(shape: tuple[int, ...], reader: str, tokens: int | None) -> str:
    below = f" below {tokens}" if tokens else ""
    positions = next((length for length in shape if len(shape) == 1 or length != tokens), shape[0])
    wanted = f"({positions}, {tokens or 'tokens'})"
    return (
        f"Stimuli are numbers in [0, 1], and {reader} takes integers{below}, such as tokens. Give "
        f"a module that takes one-hot rows, stimulus_shape {wanted}, and "
        "computes `rows @ embedding.weight` where the model computes `embedding(tokens)`; or "
        "`model(rows.argmax(-1))`, without gradients"
    )


def _for_rows(shape: tuple[int, ...], name: str, channels: int, *, first: bool) -> str:
    reads = f"Its layer {name!r} reads {channels} {'channels' if first else 'features'}"
    if len(shape) == 1 and shape != (channels,):
        wanted = (channels, *shape) if first else (*shape, channels)
        return (
            f"{reads}. If the model takes one-hot rows of {shape[0]} positions, not integers, "
            f"stimulus_shape is {wanted}"
        )
    place = 0 if first else -1
    if len(shape) == 2 and shape[place] != channels and channels in shape:
        return f"{reads} on axis {place} of a stimulus: exchange the axes, {shape[::-1]}"
    return ""
