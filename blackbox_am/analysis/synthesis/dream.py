"""Deep Dream: an image changed so that a layer sees more of what it sees already.

Mordvintsev, Olah, Tyka, "Inceptionism" (2015), and their notebook: ascent of the mean square of a
layer, 10 iterations at each of 4 octaves of scale 1.4, with jitter and steps normalised by the mean
absolute gradient. Difference: an oracle takes stimuli of one size, so an octave is the resolution
of the change, which is enlarged to the stimulus before the model sees it. Without gradients the
change is a search in low frequencies within an L2 ball around the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import Stream
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import Unsupported
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.plots import sheet
from blackbox_am.studies.local import maximise


@dataclass(frozen=True, kw_only=True)
class Dream(Analysis):
    """A dreamed image.

    Attributes:
        image: (*stimulus) the seed.
        dreamed: (*stimulus).
        before, after: mean square of the layer for both.
        similarity: structural similarity of both, 1 for equal images (Wang et al., 2004).
    """

    image: NDArray[np.float32]
    dreamed: NDArray[np.float32]
    before: float
    after: float
    similarity: float

    def data(self) -> Arrays:
        return {
            "image": self.image,
            "dreamed": self.dreamed,
            "before": np.array(self.before),
            "after": np.array(self.after),
        }

    def plot(self) -> Figure:
        return sheet([self.image, self.dreamed], columns=2)

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "The image, and the dreamed one.")]

    def lead(self) -> list[str]:
        return [
            (
                f"The mean square of {self.subject} rose from {self.before:.4g} to "
                f"{self.after:.4g}; the structural similarity to the image is "
                f"{self.similarity:.2f}."
            )
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = [("image", self.before), ("dreamed", self.after)]
        return [TableOfNumbers("Mean square of the layer", ("stimulus", "value"), rows)]


def dream(
    oracle: Oracle,
    layer: str,
    image: Any,
    *,
    gradients: bool = True,
    octaves: int = 4,
    iterations: int = 10,
    scale: float = 1.4,
    jitter: int | None = None,
    step: float = 1.5 / 255,
    queries: int = 1000,
    leash: float = 3.0,
    frequencies: int = 8,
    seed: int = 0,
) -> Dream:
    """Dream on an image.

    Args:
        oracle: an oracle of images, with gradients unless `gradients` is false.
        layer: a layer, or a unit.
        image: (channels, height, width).
        gradients: whether to ascend; otherwise the change is searched without gradients.
        octaves, iterations, scale: of the ascent.
        jitter: largest shift in each direction, in pixels; an eighth of the shorter side if None.
        step: of each iteration, per value of the stimulus in [0, 1].
        queries: of the search without gradients.
        leash: radius of the L2 ball around the image, of the search.
        frequencies: in each direction, of the search.
        seed: of jitter and search.

    Raises:
        GradientUnavailable: without gradients; the message names `gradients=False`.
        Unsupported: for stimuli that are no images.
    """
    check(octaves >= 1, "octaves", "1 or more", octaves)
    check(iterations >= 0, "iterations", "0 or more", iterations)
    check(scale > 1, "scale", "above 1", scale)
    unit = Unit.parse(layer)
    target = Unit(unit.layer, unit.index, unit.position, "square")
    subject = Subject(
        oracle, [target], method="dream",
        needs=Capability.GRADIENTS if gradients else Capability(0),
        instead="pass gradients=False, which searches low frequencies within a ball",
    )  # fmt: skip
    shown = subject.stimulus(image)
    if shown.ndim != 3:
        raise Unsupported(f"dream: expected images, and stimuli have shape {tuple(shown.shape)}")
    spent = Accounting()
    if gradients:
        room = min(shown.shape[1:]) // 8 if jitter is None else jitter
        found = _ascended(subject, shown, octaves, iterations, scale, room, step, seed)
    else:
        found, spent = _searched(subject, shown, queries, leash, frequencies, seed)
    before, after = subject.measure(torch.stack([shown, found]))[:, 0]
    given: dict[str, object] = {"octaves": octaves, "iterations": iterations, "step": step}
    if not gradients:
        given = {"queries": queries, "radius": leash, "frequencies": frequencies}
    return Dream(
        method="dream",
        subject=layer,
        model=subject.name,
        parameters={**given, "seed": seed},
        spent=subject.spent + spent,
        image=shown.numpy(),
        dreamed=found.numpy(),
        before=float(before),
        after=float(after),
        similarity=structural_similarity(shown.numpy(), found.numpy()),
    )


def _ascended(
    subject: Subject,
    image: torch.Tensor,
    octaves: int,
    iterations: int,
    scale: float,
    jitter: int,
    step: float,
    seed: int,
) -> torch.Tensor:
    stream = Stream(seed, "dream", 0)
    change = torch.zeros_like(image)
    for octave in reversed(range(octaves)):
        size = [max(1, round(n / scale**octave)) for n in image.shape[1:]]
        for _ in range(iterations):
            shifts = stream.integers(2 * jitter + 1, 2)[0] - jitter
            moved = torch.roll((image + change).clamp(0, 1), tuple(shifts.tolist()), (1, 2))
            _, slope = subject.gradients(moved[None])
            back = torch.roll(slope[0], tuple((-shifts).tolist()), (1, 2))
            coarse = functional.interpolate(back[None], size, mode="area")
            coarse = coarse / coarse.abs().mean().clamp_min(1e-12)
            fine = functional.interpolate(
                coarse, tuple(image.shape[1:]), mode="bilinear", align_corners=False
            )
            change = (image + change + step * fine[0]).clamp(0, 1) - image
    return (image + change).clamp(0, 1) if iterations else image.clone()


def _searched(
    subject: Subject, image: torch.Tensor, queries: int, leash: float, frequencies: int, seed: int
) -> tuple[torch.Tensor, Accounting]:
    around = Perturbation(
        inputs=image[None].numpy(), ball="l2", radius=leash, basis="dct",
        size=min(frequencies, *image.shape[1:]),
    )  # fmt: skip
    result = maximise(
        oracle=subject.oracle,
        generator=around,
        targets=[str(subject.units[0])],
        queries_per_target=queries,
        seed=seed,
        progress=False,
    )
    found = torch.from_numpy(np.asarray(result.best[0].stimulus, np.float32).copy())
    return found, result.progress.spent


def structural_similarity(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Mean structural similarity of two images (channels, height, width) in [0, 1]; 1 is equal.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment", 2004, with a Gaussian window of
    deviation 1.5.
    """

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(gaussian_filter(values.astype(np.float64), (0, 1.5, 1.5)))

    a, b = mean(first), mean(second)
    over, under = 2 * a * b + 1e-4, a**2 + b**2 + 1e-4
    joint = mean(first.astype(np.float64) * second) - a * b
    spread = (
        mean(first.astype(np.float64) ** 2) - a**2 + mean(second.astype(np.float64) ** 2) - b**2
    )
    return float((over * (2 * joint + 9e-4) / (under * (spread + 9e-4))).mean())
