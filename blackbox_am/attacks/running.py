"""Who runs the studies of an attack, and what a study found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import Best, StudyProgress, StudyState


@dataclass(frozen=True)
class Found:
    """What a study found.

    Attributes:
        progress: its last progress.
        best: the best candidate of each target, with its stimulus.
    """

    progress: StudyProgress
    best: Sequence[Best]

    @property
    def ended(self) -> bool:
        """Whether the study has ended, and is not only paused."""
        return self.progress.state is StudyState.SUCCEEDED


class Runner(Protocol):
    """Runs the studies of one attack."""

    def keep(self, stimuli: NDArray[Any]) -> str:
        """Keeps inputs where the studies run.

        Args:
            stimuli: (N, *input) uint8 or float32.

        Returns:
            The digest of the artifact on a server; empty in this process.
        """

    def known(self, name: str) -> StudySpec | None:
        """The study of this name if an earlier call has begun it; None if there is none.

        Args:
            name: as of `run`.
        """

    def run(self, name: str, spec: StudySpec, stimuli: NDArray[Any]) -> Found:
        """Runs a study until it ends or is paused; a study of this name is continued.

        Args:
            name: begins with `clean`, `search`, `verify` or `repeat`.
            spec: the study.
            stimuli: the inputs that the study's generator works around, as they were kept.
        """
