"""The attribution methods by name, and where each is, without importing any."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from blackbox_am.errors import InvalidSpec, did_you_mean

ATTRIBUTION: dict[str, str] = {
    "occlusion": "How far the activation falls when a window of the stimulus is hidden.",
    "rise": "The correlation of the activation with random masks.",
    "finite_differences": "Slopes along cells of the stimulus, for two steps.",
    "sobol_cells": "Total Sobol indices of cells of the stimulus.",
    "saliency": "The gradient (needs gradients).",
    "smoothgrad": "The mean gradient over noisy copies (needs gradients).",
    "integrated_gradients": "The gradient along a way from a reference (needs gradients).",
    "guided_backprop": "Guided backpropagation (needs a PyTorch module).",
    "deconvnet": "The backward pass of a deconvnet (needs a PyTorch module).",
    "grad_cam": "A layer's channels weighted by their gradients (needs a PyTorch module).",
    "lrp": "Layer-wise relevance propagation (needs a PyTorch module).",
}
"""Name and summary of each method that gives a map of one stimulus."""

BLACK_BOX = ("occlusion", "rise", "finite_differences", "sobol_cells")
"""Those that run on every oracle."""


def attribution(name: str) -> Callable[..., Any]:
    """The attribution method called `name`.

    Raises:
        InvalidSpec: if there is none.
    """
    if name not in ATTRIBUTION:
        raise InvalidSpec(f"no attribution method {name!r}{did_you_mean(name, ATTRIBUTION)}")
    found: Callable[..., Any] = getattr(
        importlib.import_module("blackbox_am.analysis.attribution"), name
    )
    return found


def checked_settings(
    function: Callable[..., Any], name: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings that a user gave, as keyword arguments of a method.

    Raises:
        InvalidSpec: for a parameter that the method does not have, or a value of another type than
            its default.
    """
    known = {
        key: one
        for key, one in inspect.signature(function).parameters.items()
        if one.kind is one.KEYWORD_ONLY
    }
    for key, value in settings.items():
        if key not in known:
            near = did_you_mean(key, known)
            raise InvalidSpec(f"{name} has no parameter {key!r}{near}", field=f"parameters.{key}")
        default = known[key].default
        whole = isinstance(default, int) or known[key].annotation == "int | None"
        number = isinstance(default, float) and isinstance(value, (int, float))
        fits = isinstance(value, int) if whole else number or not isinstance(default, float)
        if not fits or isinstance(value, bool):
            expected = "a whole number" if whole else "a number"
            raise InvalidSpec(
                f"{name}: {key}: expected {expected}, got {value!r}", field=f"parameters.{key}"
            )
    return dict(settings)
