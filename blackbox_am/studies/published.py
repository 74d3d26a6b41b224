"""What is known of a study to whoever only looks: immutable, and the same here and in the index.

It is published with each append. Readers need neither the study's lock nor its journal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from blackbox_am.core.spec import Budget
from blackbox_am.core.store import IndexedStudy, Summary
from blackbox_am.core.types import StudyProgress
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies import events, reports
from blackbox_am.studies.events import Created
from blackbox_am.studies.study import Study


class _Body(msgspec.Struct, frozen=True):
    progress: StudyProgress
    budget: Budget


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Published:
    """A study at one moment.

    Attributes:
        created: what it began with.
        created_at: when it began, in seconds since the epoch; 0 for one that was only checked.
        budget: when it stops.
        progress: how far it is.
        owner: the name of the process that runs it; empty where none does.
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
        """What is known of `study`.

        Args:
            study_id: its id; "" for one that was only checked.
            study: its state, which must hold still meanwhile.
            created_at: as above.
            before: what was known of it before; its targets are taken from there where nothing
                of them can have changed since.
        """
        if (
            before is not None
            and before.progress.generation == study.generation
            and before.budget == study.budget
        ):
            return replace(before, progress=reports.same_targets(before.progress, study))
        if before is not None:
            created_at = before.created_at
        return cls(study.created, created_at, study.budget, reports.progress(study_id, study))

    @classmethod
    def read(cls, indexed: IndexedStudy) -> Published:
        """What the index tells.

        Raises:
            StoreCorrupt: where it cannot be read.
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
        assert isinstance(created, Created)  # the first event of a journal is no other
        return cls(created, indexed.created_at, body.budget, body.progress, indexed.owner)

    def summary(self, folded: bytes | None = None) -> Summary:
        """The study's row in the index.

        Args:
            folded: the folded study, where it is written too.
        """
        return Summary(
            self.progress.state.value,
            self.created.spec.oracle or "",
            _encoder.encode(_Body(self.progress, self.budget)),
            folded,
        )
