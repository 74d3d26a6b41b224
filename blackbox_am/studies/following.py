"""Following a study that another process runs, until this process can continue it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blackbox_am.core.store import Store
from blackbox_am.core.types import StudyProgress
from blackbox_am.errors import NotFound, NotOwner
from blackbox_am.studies.ownership import Owner, Ownership
from blackbox_am.studies.published import Published

LOOK_SECONDS = 0.2


@contextmanager
def owned(
    store: Store,
    study_id: str,
    owner: Owner,
    *,
    check: Callable[[], object],
    on_generation: Callable[[StudyProgress], None],
    on_message: Callable[[str], None],
) -> Iterator[Ownership]:
    """The lease on a study, as soon as no other process holds it; released at the end of the
    context.

    The other process releases the lease when the study has ended. If that process is killed, the
    lease expires.

    Args:
        store: the store of the study.
        study_id: its id.
        owner: takes the lease.
        check: called when the other process has begun the study; raises an error if it is another
            study than the requested one.
        on_generation: called with the progress after each generation of the other process.
        on_message: called with a message that names the process that runs the study.
    """
    ownership = _taken(store, study_id, owner, check, on_generation, on_message)
    try:
        yield ownership
    finally:
        owner.release(ownership)


def _taken(
    store: Store,
    study_id: str,
    owner: Owner,
    check: Callable[[], object],
    on_generation: Callable[[StudyProgress], None],
    on_message: Callable[[str], None],
) -> Ownership:
    said, generation, checked = "", -1, False
    while True:
        try:
            return owner.take(study_id)
        except NotOwner:
            name = store.leases.owner_name(study_id)
        if name and name != said:
            on_message(f"study {study_id!r} is run by {name}; this process follows it to its end")
            said = name
        try:
            progress = Published.read(store.find(study_id)).progress
        except NotFound:  # the other process is about to begin it
            time.sleep(LOOK_SECONDS)
            continue
        if not checked:
            check()
            checked = True
        if progress.generation > generation:
            on_generation(progress)
            generation = progress.generation
        time.sleep(LOOK_SECONDS)
