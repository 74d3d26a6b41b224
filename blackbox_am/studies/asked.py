"""What a study has asked of its oracle, written down before each call.

The journal tells of a generation once the generation is measured. When a process is killed, the
oracle has served rows of the open generation that no event tells of. So the owner of a study
notes the accounts, as they will stand after the next call, before each call. The next owner
compares the note with the journal and bills the difference.

A note belongs to one lease. The owner that wrote it has the same accounts in memory, and bills
them itself as long as it holds that lease.
"""

from __future__ import annotations

import msgspec

from blackbox_am.core.metering import Meter
from blackbox_am.core.store import Store
from blackbox_am.core.types import Accounting
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies.ownership import Ownership


class Asked(msgspec.Struct, frozen=True):
    """A note.

    Attributes:
        total: all that was asked for the study, the call about to be made included.
        lost: what of it is asked again if no more comes of the generation that is open.
    """

    total: Accounting
    lost: Accounting


_decoder = msgspec.msgpack.Decoder(Asked)


def noting(store: Store, ownership: Ownership, before: Accounting) -> Meter:
    """A meter that has each call noted before it is made.

    The call is not made where the note cannot be written, and where the study has another owner:
    the meter raises `StoreError` or `NotOwner` then.

    Args:
        store: where.
        ownership: of the study.
        before: what was asked for the study until now, journalled or not.
    """

    def note(meter: Meter) -> None:
        ownership.check()
        asked = Asked(before + meter.total, meter.lost())
        body = msgspec.msgpack.encode(asked)
        store.note(ownership.lease.study_id, ownership.token, body)

    return Meter(on_call=note)


def left_behind(store: Store, study_id: str, spent: Accounting, token: int | None) -> Accounting:
    """What former owners asked for a study and did not journal.

    Args:
        store: where they noted it.
        study_id: the study.
        spent: what the study's journal tells of.
        token: of the caller's own lease, whose note is left out.

    Raises:
        StoreCorrupt: where a note cannot be read.
    """
    notes = [note for note in store.notes(study_id) if note.token != token]
    if not notes:
        return Accounting()
    try:
        # Each owner begins by billing what the one before left behind: the last note has all.
        asked = _decoder.decode(notes[-1].body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreCorrupt(f"the accounts of study {study_id!r} cannot be read: {error}") from error
    missing = asked.total + -spent
    return missing + asked.lost if missing.calls > 0 else Accounting()
