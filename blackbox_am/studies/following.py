"""A study that another process runs: it is followed until this process can go on with it."""

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
    """The lease on a study, as soon as no other process holds it; given back in the end.

    The other process gives the lease back when the study has ended. When that process dies, the
    lease runs out.

    Args:
        store: where the study is kept, or will be.
        study_id: its id.
        owner: takes the lease.
        check: called once the other process has begun the study; raises where it is not the one
            that this process is asked for.
        on_generation: told of the progress after each generation of the other process.
        on_message: told which process runs the study.
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
