"""What activation maximisation found for a unit, and whether it is plausible.

Nguyen, Yosinski, Clune, "Deep Neural Networks are Easily Fooled", CVPR 2015: a search in pixels
finds noise with scores above those of natural images. A second classifier agrees with such noise
too, so its vote is no test. The test here is the distance to the nearest natural image in the
features of a network outside the search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.parameters import check
from blackbox_am.core.types import Best
from blackbox_am.evaluation.plausibility import finite_rows, nearest

Features = Callable[[torch.Tensor], torch.Tensor]
"""(N, F) features of stimuli (N, *stimulus)."""

FOOLING = 0.01
"""A stimulus stranger than all but this part of the natural images is not plausible."""


@dataclass(frozen=True)
class Excited:
    """A stimulus that a search found.

    Attributes:
        seed: of the search; None for a study that was given.
        score: its activation.
        stimulus: (*stimulus) float32 in [0, 1].
        natural_maximum: the largest activation of a natural stimulus.
        plausibility: part of the natural stimuli that are as far or farther from their nearest
            other one, in [0, 1]; nan if it was not measured.
    """

    seed: int | None
    score: float
    stimulus: NDArray[np.float32]
    natural_maximum: float
    plausibility: float = float("nan")

    @property
    def fooling(self) -> bool:
        """Whether the score is above every natural one and the stimulus is not plausible."""
        return self.score > self.natural_maximum and self.plausibility < FOOLING

    def in_words(self) -> str:
        """Score and plausibility for a caption."""
        text = f"{self.score:.3g}"
        if self.natural_maximum > 0:
            text += f", {self.score / self.natural_maximum:.2f} x natural max"
        if not np.isnan(self.plausibility):
            text += f", plausibility {self.plausibility:.0%}"
        return text + (", FOOLING" if self.fooling else "")


def excited(
    best: Sequence[Best],
    seed: int | None,
    maxima: Sequence[float],
    plausibility: Callable[[torch.Tensor], NDArray[np.float64]] | None,
) -> list[Excited]:
    """One search's best stimuli of several units.

    Args:
        best: of each unit, with a stimulus.
        seed: of the search.
        maxima: the natural maximum of each unit.
        plausibility: see `plausibility_of`; None if it is not measured.
    """
    stimuli = np.stack([np.asarray(one.stimulus, np.float32) for one in best])
    known = np.full(len(best), np.nan)
    if plausibility is not None:
        known = plausibility(torch.from_numpy(stimuli))
    return [
        Excited(seed, one.score, stimulus, top, float(part))
        for one, stimulus, top, part in zip(best, stimuli, maxima, known, strict=True)
    ]


def plausibility_of(
    features: Features, natural: torch.Tensor
) -> Callable[[torch.Tensor], NDArray[np.float64]]:
    """A function that gives the plausibility (N,) of stimuli (N, *stimulus), in [0, 1]; nan for a
    stimulus whose features are not finite.

    Args:
        features: of a network outside the search.
        natural: (M, *stimulus) natural stimuli, two or more of finite features.

    Raises:
        InvalidSpec: for fewer.
    """
    reference = finite_rows(features(natural)).double()
    check(
        len(reference) >= 2, "features", "finite numbers for two natural stimuli or more",
        f"{len(reference)} of {len(natural)} rows of them",
    )  # fmt: skip
    typical = nearest(reference, reference, held_out=True)

    def measured(stimuli: torch.Tensor) -> NDArray[np.float64]:
        distances = nearest(features(stimuli).double(), reference)
        found = (typical[None] >= distances[:, None]).double().mean(1)
        return found.where(distances.isfinite(), torch.nan).cpu().numpy()

    return measured
