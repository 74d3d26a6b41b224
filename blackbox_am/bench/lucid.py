"""The published recipe of Lucid as a plain loop, a baseline of `bench gradients`.

C. Olah, A. Mordvintsev and L. Schubert, "Feature Visualization" (Distill 2017), and the defaults of
their program: the image is the sigmoid of decorrelated colours of the inverse Fourier transform of
a complex half spectrum, whose coefficients are scaled by 1 / frequency and begin at N(0, .01^2);
Adam with a learning rate of .05 makes 512 steps. The program's transformations and its enlargement
of the image are off, so that both sides climb the same score.

The PyTorch port lucent (`torch-lucent`) is not a dependency. Where its parametrisation is
installed, the loop uses it; elsewhere it uses the formulas of this module, which give the same
images. (The loop of lucent itself needs torchvision.)
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit

STEPS = 512
RATE = 0.05
DEVIATION = 0.01
DAMPING = 4.0
"""The spectrum's image is divided by this, which reduces saturation."""
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""The root of the covariance of the colours of natural images."""

Image = tuple[torch.Tensor, Callable[[], torch.Tensor]]
"""A spectrum (N, 3, height, width / 2 + 1, 2), and a function that gives its images."""


def installed() -> bool:
    """Whether the parametrisation of lucent can be used."""
    return find_spec("lucent") is not None


def parametrised(count: int, height: int, width: int) -> Image:
    """`count` images from random spectra, by lucent where it is installed."""
    if not installed():
        return spectral(count, height, width)
    made = import_module("lucent.optvis.param").image(width, h=height, batch=count)
    (spectrum,), render = made
    return spectrum, render


def spectral(count: int, height: int, width: int) -> Image:
    """`count` images from random spectra, by the formulas of this module."""
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (rows.square() + columns.square()).sqrt()
    scale = 1 / frequency.clamp(min=1 / max(height, width))
    spectrum = DEVIATION * torch.randn(count, 3, *frequency.shape, 2)
    spectrum.requires_grad_()
    colours = torch.tensor(COLOURS)
    colours = colours / colours.norm(dim=0).max()

    def render() -> torch.Tensor:
        weighted = torch.view_as_complex(spectrum * scale[..., None])
        planes = torch.fft.irfft2(weighted, s=(height, width), norm="ortho") / DAMPING
        return torch.sigmoid(torch.einsum("rc,nchw->nrhw", colours, planes))

    return spectrum, render


def climb(
    oracle: Oracle, units: tuple[Unit, ...], seeds: int, steps: int = STEPS
) -> NDArray[np.float64]:
    """(units * seeds,) the largest activation of each ascent; entry k is of unit k // seeds.

    Args:
        oracle: a model of images with gradients.
        units: the units to excite.
        seeds: ascents of each unit.
        steps: steps of Adam; each is one forward and one backward pass.
    """
    torch.manual_seed(0)
    _, height, width = oracle.describe().stimulus_shape
    count = len(units) * seeds
    spectrum, render = parametrised(count, height, width)
    own = torch.arange(count) // seeds
    optimizer = torch.optim.Adam([spectrum], lr=RATE)
    best = torch.full((count,), -torch.inf)
    for _ in range(steps):
        optimizer.zero_grad()
        scores = oracle.observe(render(), units)[torch.arange(count), own]
        best = torch.maximum(best, scores.detach().to(best))
        (-scores.sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found: NDArray[np.float64] = best.double().numpy()
    return found
