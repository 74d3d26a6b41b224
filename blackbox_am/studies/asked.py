"""Notes of a study's oracle calls, written before each call.

The journal has the accounts of a generation once the generation is measured. If a process is
killed, the oracle has served rows of the open generation that no event mentions. The owner of a
study therefore writes a note before each call: the accounts as they will be after the call. The
next owner compares the note with the journal and bills the difference.

A note belongs to one lease. The owner that wrote it has the same accounts in memory, and bills
them itself as long as it holds that lease.
"""

from __future__ import annotations

import msgspec

from blackbox_am.core.metering import Meter
from blackbox_am.core.store import Store
from blackbox_am.core.types import Accounting, Purpose
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies.ownership import Ownership


class Asked(msgspec.Struct, frozen=True):
    """A note of the accounts.

    Attributes:
        total: all calls for the study, including the call that is about to be made.
        lost: the part of `total` that has to be repeated if the open generation is not completed.
    """

    total: Accounting
    lost: Accounting


_decoder = msgspec.msgpack.Decoder(Asked)


def noting(
    store: Store, ownership: Ownership, before: Accounting, purpose: Purpose | None = None
) -> Meter:
    """A meter that writes a note before each call.

    If the note cannot be written, or if the study has another owner, the meter raises `StoreError`
    or `NotOwner` and the call is not made.

    Args:
        store: the store of the notes.
        ownership: the ownership of the study.
        before: accounts of the study so far, journalled or not.
        purpose: of the rows; None for the search.
    """

    def note(meter: Meter) -> None:
        ownership.check()
        asked = Asked(before + meter.total.marked(purpose), meter.lost().marked(purpose))
        body = msgspec.msgpack.encode(asked)
        store.note(ownership.lease.study_id, ownership.token, body)

    return Meter(on_call=note)


def left_behind(store: Store, study_id: str, spent: Accounting, token: int | None) -> Accounting:
    """Accounts of former owners that are not in the journal.

    Args:
        store: the store of the notes.
        study_id: the study.
        spent: accounts in the study's journal.
        token: token of the caller's own lease, whose note is ignored.

    Raises:
        StoreCorrupt: if a note cannot be read.
    """
    notes = [note for note in store.notes(study_id) if note.token != token]
    if not notes:
        return Accounting()
    try:
        # Each owner starts by billing the calls of the owner before, so the last note has all of
        # them.
        asked = _decoder.decode(notes[-1].body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreCorrupt(f"the accounts of study {study_id!r} cannot be read: {error}") from error
    missing = asked.total + -spent
    return missing + asked.lost if missing.calls > 0 else Accounting()
