"""Feature visualisation of other programs on the same units, as baselines of `bench gradients`.

Lucent 0.1.8 (`lucent.optvis.render.render_vis`: colours decorrelated, Fourier image, Adam .05, 512
steps) and Horama 0.3.0 (`horama.fourier`: NAdam 1, spectrum with decay 1.5) are not dependencies,
and both need torchvision; what cannot be loaded is skipped, and the table says so. Their images
have the size of the model's input, and their transformations are off, so that all climb the same
score; the best score of an ascent counts, not the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stderr
from importlib import import_module
from os import devnull
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit

STEPS = 512
"""Steps of an ascent, each one forward and one backward pass."""

Ascent = Callable[["Climbed", int], None]
"""An ascent of a program, of so many steps."""


class Climbed(nn.Module):
    """The score of one unit as a module of images, which keeps the best score that it saw.

    Attributes:
        best: the highest score of one image.
        rows: images that it saw.
    """

    def __init__(self, oracle: Oracle, unit: Unit) -> None:
        super().__init__()
        self._oracle, self._unit = oracle, unit
        self.shape = tuple(oracle.describe().stimulus_shape)
        self.score = nn.Identity()  # a layer that programs can hook
        self.best, self.rows = -np.inf, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N,) scores of images (N, 3, height, width)."""
        found: torch.Tensor = self.score(self._oracle.observe(images, (self._unit,))[:, 0])
        self.best = max(self.best, float(found.detach().max()))
        self.rows += len(images)
        return found


def lucent(climbed: Climbed, steps: int) -> None:
    """Lucent with its defaults, without transformations."""
    render, objectives, param = (
        import_module(f"lucent.optvis.{name}") for name in ("render", "objectives", "param")
    )
    side = climbed.shape[-1]
    render.render_vis(
        climbed,
        objectives.Objective(lambda layer: -layer("score").sum()),
        lambda: param.image(side),
        transforms=[],
        thresholds=(steps,),
        preprocess=False,
        progress=False,
        show_image=False,
        fixed_image_size=side,
    )


def horama(climbed: Climbed, steps: int) -> None:
    """Horama's Fourier ascent with its defaults, on the whole image without noise."""
    program: Any = import_module("horama.fourier_fv")
    side = climbed.shape[-1]

    def whole(objective: Any, image: torch.Tensor, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        image.retain_grad()
        return -objective(image[None]), image

    kept = program.optimization_step
    program.optimization_step = whole
    try:
        with Path(devnull).open("w") as nothing, redirect_stderr(nothing):
            program.fourier(
                lambda images: climbed(images).mean(),
                total_steps=steps,
                image_size=side,
                model_input_size=side,
                values_range=(0.0, 1.0),
                device="cpu",
            )
    finally:
        program.optimization_step = kept


PROGRAMS: dict[str, tuple[tuple[str, ...], Ascent]] = {
    "lucent": (("lucent.optvis.render",), lucent),
    "horama": (("horama",), horama),
}
"""For each program the modules that it needs, and its ascent."""


def missing(name: str) -> str:
    """Why a program cannot be used; empty if it can."""
    for module in PROGRAMS[name][0]:
        try:
            import_module(module)
        except (ImportError, OSError, RuntimeError) as error:  # torchvision beside another torch
            return f"{module} cannot be loaded: {type(error).__name__}: {error}"
    return ""


def climb(
    oracle: Oracle, units: tuple[Unit, ...], seeds: int, ascent: Ascent, steps: int = STEPS
) -> NDArray[np.float64]:
    """(units * seeds,) the best score of each ascent; entry k is of unit k // seeds.

    Args:
        oracle: a model of square images with gradients.
        units: the units to excite.
        seeds: ascents of each unit.
        ascent: of the program.
        steps: of each ascent.
    """
    found = []
    for unit in units:
        for seed in range(seeds):
            torch.manual_seed(seed)
            climbed = Climbed(oracle, unit)
            ascent(climbed, steps)
            found.append(climbed.best)
    return np.array(found, np.float64)
