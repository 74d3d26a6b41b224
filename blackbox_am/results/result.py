"""The result of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.shown import ShownRows
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import Best, GenerationScores, StudyProgress
from blackbox_am.errors import Unsupported
from blackbox_am.results.provenance import Provenance
from blackbox_am.results.reported import Reported

ShowAgain = Callable[[bool, bool, tuple[int, ...]], Iterator[ShownRows]]
"""Function (latents, stimuli, targets) that returns what the study has shown, by generation."""

_SHOWN_TARGETS = 3


@dataclass(frozen=True, repr=False)
class Result(Reported):
    """The result of a study.

    Attributes:
        progress: the final progress.
        best: the best candidate of each target, with its stimulus.
        history: scores by generation.
        latents: (targets, rows, D) by generation, if the study keeps all latents; empty otherwise.
        spec: the specification, with the current budget; None for a result of an older version.
        provenance: models, settings and versions.
        notes: what the result lacks, with the reason; often empty.
        show_again: returns what the study has shown; None if it is not at hand, as after pickling.
    """

    progress: StudyProgress
    best: list[Best]
    history: list[GenerationScores]
    latents: list[NDArray[Any]] = field(default_factory=list)
    spec: StudySpec | None = None
    provenance: Provenance = field(default_factory=Provenance)
    notes: tuple[str, ...] = ()
    show_again: ShowAgain | None = field(default=None, compare=False)

    def result(self) -> Result:
        """The object itself."""
        return self

    def blocks(
        self, *, latents: bool = True, stimuli: bool = False, targets: tuple[int, ...] = ()
    ) -> Iterator[ShownRows]:
        if self.show_again is None:
            raise Unsupported(
                f"this result of study {self.progress.study_id!r} has no journal, because it was "
                "pickled or made by other means; take the study from its store with "
                "blackbox_am.open_result(store, study_id), or keep results with save(folder)"
            )
        return self.show_again(latents, stimuli, tuple(targets))

    def __repr__(self) -> str:
        progress = self.progress
        count = len(progress.targets)
        shown = [f"{best.title} = {best.score:.4g}" for best in self.best[:_SHOWN_TARGETS]]
        more = ", ..." if len(self.best) > _SHOWN_TARGETS else ""
        found = f"; best: {', '.join(shown)}{more}" if shown else "; nothing measured"
        return (
            f"<Result {progress.study_id!r}: {progress.state.value}, {count} "
            f"target{'s' if count > 1 else ''}, {progress.search_rows:,} queries{found}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the journal, which has models and open files."""
        return {**self.__dict__, "show_again": None}
