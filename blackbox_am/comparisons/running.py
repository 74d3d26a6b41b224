"""Who runs the studies of a comparison, and what a study found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blackbox_am.comparisons.planning import Examined, Member, Plan
from blackbox_am.comparisons.problem import ComparisonSpec, MethodSpec
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.core.types import Best, GenerationScores, OracleInfo, StudyProgress, StudyState


@dataclass(frozen=True)
class Found:
    """What a study found.

    Attributes:
        progress: its last progress.
        best: the best candidate of each target, with its stimulus.
        history: the scores of each generation.
        noisy: whether the model was found not to repeat its answers.
    """

    progress: StudyProgress
    best: Sequence[Best]
    history: Sequence[GenerationScores]
    noisy: bool = False

    @property
    def ended(self) -> bool:
        """Whether the study has used its budget."""
        return self.progress.state is StudyState.SUCCEEDED


@dataclass(frozen=True)
class Natural:
    """The natural images of a comparison.

    Attributes:
        scores: (K, N) for each unit; nan for an image without a score.
        stimuli: (N, *stimulus) float32 in [0, 1].
    """

    scores: NDArray[np.float64]
    stimuli: NDArray[np.float32]

    @classmethod
    def nothing(cls, units: int, shape: Sequence[int]) -> Natural:
        """For a comparison without natural images."""
        return cls(np.empty((units, 0)), np.empty((0, *shape), np.float32))


class Runner(Protocol):
    """Runs the studies of one comparison."""

    def describe(self) -> OracleInfo:
        """The description of the model."""

    def identity(self) -> Mapping[str, str]:
        """Facts about the models and the machine, in the order in which they are shown."""

    def baseline(self, spec: ComparisonSpec) -> BaselineSpec | None:
        """The natural images that the study of the start measures; None for none."""

    def examine(
        self, spec: ComparisonSpec, units: Sequence[str], methods: Sequence[MethodSpec]
    ) -> list[Examined]:
        """Checks that the studies of each method can be created.

        Raises:
            BlackboxError: for a method that is wrong, such as an unknown parameter. A method that
                needs what the model or the generator lacks is no error.
        """

    def begin(self, plan: Plan) -> None:
        """Called before the first study."""

    def run(self, plan: Plan, member: Member) -> Found:
        """Runs a study until it ends, fails or is paused; a study of this name is continued.

        Raises:
            OracleError: if the model failed and nothing was found.
        """

    def stored(self, plan: Plan, member: Member) -> Found | None:
        """What a study has found so far; None if it has not begun."""

    def natural(self, plan: Plan) -> Natural | None:
        """The natural images, after the study of the start has run; None without images."""

    def end(self, plan: Plan) -> None:
        """Called after the last study."""


def message_of(found: Found) -> str:
    """Why a study found nothing, or stopped early; empty if it has used its budget."""
    if found.ended:
        return ""
    return found.progress.message or f"the study is {found.progress.state.value}"


def latents_of(found: Found) -> tuple[list[int], NDArray[Any]]:
    """The targets that have a best latent, R of them, and these latents (R, D)."""
    targets = [best.target for best in found.best]
    return targets, np.stack([np.asarray(best.latent) for best in found.best])
