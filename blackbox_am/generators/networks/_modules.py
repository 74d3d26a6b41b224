"""Modules that the operator gives: objects, or names of code, with weights from files."""

from __future__ import annotations

from typing import Any

from torch import nn

from blackbox_am.core.importing import imported
from blackbox_am.errors import InvalidSpec

GENERATOR_ENTRIES = (
    "g_ema",
    "G_ema",
    "netG_ema",
    "generator_ema",
    "netG_state_dict",
    "netG",
    "generator_state_dict",
    "generator",
    "gen",
    "G",
    "model_G",
    "G_state_dict",
    "decoder",
)
"""Entries of a checkpoint in which training scripts store a generator, averages first."""


def built(field: str, given: Any, arguments: dict[str, Any]) -> nn.Module:
    """The module `given`, or the module that `package.module:NAME` is or makes.

    Raises:
        InvalidSpec: if it is something else, or if the operator's code fails.
    """
    if isinstance(given, nn.Module):
        return given
    if not isinstance(given, str):
        raise InvalidSpec(
            f"{field}: expected a torch.nn.Module, or 'package.module:CLASS', got "
            f"{type(given).__name__}",
            field=field,
        )
    found = imported(field, given)
    if not isinstance(found, nn.Module) and callable(found):
        try:
            found = found(**arguments)
        except Exception as error:  # the operator's code may raise anything
            told = ", ".join(arguments) or "none"
            raise InvalidSpec(
                f"{field}: {given!r} raised {type(error).__name__} when it was called with the "
                f"arguments {told}: {error}",
                field="arguments",
            ) from error
    if not isinstance(found, nn.Module):
        raise InvalidSpec(
            f"{field}: expected {given!r} to be or to make a torch.nn.Module, got "
            f"{type(found).__name__}",
            field=field,
        )
    return found
