"""An immutable view of a study for readers, the same in memory and in the index.

The view is published with each append, so that readers need neither the study's lock nor its
journal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from blackbox_am.core.spec import Budget, OptimizerSpec
from blackbox_am.core.store import IndexedStudy, Summary
from blackbox_am.core.types import StudyProgress
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies import events, reports
from blackbox_am.studies.events import Created
from blackbox_am.studies.study import Study


class _Body(msgspec.Struct, frozen=True):
    progress: StudyProgress
    budget: Budget
    optimizer: OptimizerSpec | None = None
    population: int = 0
    noisy: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Published:
    """A study at one moment.

    Attributes:
        created: the first event.
        created_at: time of creation, in seconds since the epoch; 0 for a study that was only
            checked.
        budget: the current budget.
        progress: the progress.
        owner: name of the process that runs the study; empty if none does.
    """

    created: Created
    created_at: float
    budget: Budget
    progress: StudyProgress
    owner: str = ""

    @classmethod
    def of(
        cls, study_id: str, study: Study, created_at: float = 0.0, before: Published | None = None
    ) -> Published:
        """The view of `study`.

        Args:
            study_id: the study's id; "" for a study that was only checked.
            study: the state, which must not change during the call.
            created_at: as above.
            before: the previous view, whose targets are reused if they cannot have changed since.
        """
        if (
            before is not None
            and before.progress.generation == study.generation
            and before.budget == study.budget
            and (study.natural is None or before.progress.targets[0].natural is not None)
        ):
            progress = reports.same_targets(before.progress, study)
            return replace(before, created=study.created, progress=progress)
        if before is not None:
            created_at = before.created_at
        return cls(study.created, created_at, study.budget, reports.progress(study_id, study))

    @classmethod
    def read(cls, indexed: IndexedStudy) -> Published:
        """The view from the study's row of the index.

        Raises:
            StoreCorrupt: if the row cannot be read.
        """
        if indexed.damage:
            raise StoreCorrupt(indexed.damage)
        created = events.decode(indexed.created)
        try:
            body = _decoder.decode(indexed.body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreCorrupt(
                f"the progress of study {indexed.study_id!r} cannot be read: {error}; restore the "
                "store from a backup, or delete the study"
            ) from error
        assert isinstance(created, Created)  # the first event of a journal is always of this type
        # The measurements before the search may have changed these.
        created = msgspec.structs.replace(
            created,
            optimizer=body.optimizer,
            population=body.population,
            noisy=body.noisy,
        )
        return cls(created, indexed.created_at, body.budget, body.progress, indexed.owner)

    def summary(self, folded: bytes | None = None) -> Summary:
        """The study's row of the index.

        Args:
            folded: the folded study, if it is written too.
        """
        created = self.created
        body = _Body(
            self.progress, self.budget, created.optimizer, created.population, created.noisy
        )
        return Summary(
            self.progress.state.value,
            self.created.spec.oracle or "",
            _encoder.encode(body),
            folded,
        )
