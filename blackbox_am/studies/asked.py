"""What a study has asked of its oracle, written down before each call.

The journal tells of a generation once it is measured. What was asked for the one that was open
when its process was killed would be on no bill, and the oracle has served it. So whoever
evaluates notes the accounts as they will stand with the next call, and whoever takes the study
up again compares them with the journal.
"""

from __future__ import annotations

import uuid

import msgspec

from blackbox_am.core.metering import Meter
from blackbox_am.core.store import Store
from blackbox_am.core.types import Accounting
from blackbox_am.errors import StoreCorrupt

_PROCESS = uuid.uuid4().hex
"""Tells apart what this process notes, and has in memory, from what another left behind."""


class Asked(msgspec.Struct, frozen=True):
    """A note.

    Attributes:
        process: who made it.
        total: all that was asked for the study, the call about to be made included.
        lost: what of it is asked again if no more comes of the generation that is open.
    """

    process: str
    total: Accounting
    lost: Accounting


_decoder = msgspec.msgpack.Decoder(Asked)


def noting(store: Store, study_id: str, before: Accounting) -> Meter:
    """A meter that has each call noted before it is made.

    Args:
        store: where.
        study_id: for which study.
        before: what was asked for it until now, journalled or not.
    """

    def note(meter: Meter) -> None:
        asked = Asked(_PROCESS, before + meter.total, meter.lost())
        store.note(study_id, msgspec.msgpack.encode(asked))

    return Meter(on_call=note)


def left_behind(store: Store, study_id: str, spent: Accounting) -> Accounting:
    """What another process asked for a study and did not live to tell; nothing where it did.

    Args:
        store: where it noted that.
        study_id: the study.
        spent: what the study's journal tells of.

    Raises:
        StoreCorrupt: where the note cannot be read.
    """
    body = store.noted(study_id)
    if body is None:
        return Accounting()
    try:
        asked = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreCorrupt(f"the accounts of study {study_id!r} cannot be read: {error}") from error
    missing = asked.total + -spent
    if asked.process == _PROCESS or missing.calls <= 0:
        return Accounting()
    return missing + asked.lost
