"""Who runs the studies of an attack, and what a study found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from blackbox_am.core.spec import StartSpec, StudySpec
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

    def run(self, name: str, spec: StudySpec) -> Found:
        """Runs a study until it ends or is paused; a study of this name is continued.

        Args:
            name: `clean`, `search` or `verify`.
            spec: the study.
        """

    def start_at(self, name: str) -> StartSpec:
        """A start at the best latents of the study called `name`."""
