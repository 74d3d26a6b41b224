"""Results of the studies in a store: while it is open, from memory, and from its file later."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from blackbox_am.catalogue import Catalogue, Images
from blackbox_am.core.generator import Generator
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.shown import ShownRows
from blackbox_am.core.store import Store
from blackbox_am.core.types import Best, StudyProgress
from blackbox_am.errors import BlackboxError, NotFound
from blackbox_am.results import Identity, Provenance, Result
from blackbox_am.results.provenance import versions
from blackbox_am.results.result import ShowAgain
from blackbox_am.stores import SQLStore
from blackbox_am.studies import equipment, reports
from blackbox_am.studies.baselines import natural_rows
from blackbox_am.studies.events import Event, decode
from blackbox_am.studies.inputs import baseline_images, study_generator
from blackbox_am.studies.published import Published
from blackbox_am.studies.rendered import with_natural, with_stimuli
from blackbox_am.studies.shown import Models, shown
from blackbox_am.studies.study import Study

READ_EVENTS = 256
MEMORY = (":memory:", "sqlite://", "sqlite:///:memory:")
"""Places of stores that end with the process."""


class Again:
    """Shows again what a study has shown, from its store.

    Args:
        store: the store, or the place where it can be opened.
        study_id: the study.
        models: the models of this process.
    """

    def __init__(self, store: Store | str, study_id: str, models: Models) -> None:
        self._store, self._study_id, self._models = store, study_id, models

    def __call__(
        self, latents: bool, stimuli: bool, targets: tuple[int, ...]
    ) -> Iterator[ShownRows]:
        if isinstance(self._store, Store):
            yield from self._rows(self._store, latents, stimuli, targets)
            return
        with opened(self._store) as store:
            yield from self._rows(store, latents, stimuli, targets)

    def _rows(
        self, store: Store, latents: bool, stimuli: bool, targets: tuple[int, ...]
    ) -> Iterator[ShownRows]:
        events = events_of(store, self._study_id)
        blocks = shown(
            self._study_id, events, self._models, latents=latents, stimuli=stimuli, targets=targets
        )
        return filter(len, blocks)


class AgainFromMemory:
    """Shows again what a study has shown, from its events, which are all in memory."""

    def __init__(self, study_id: str, events: Iterable[Event], models: Models) -> None:
        self._study_id, self._events, self._models = study_id, tuple(events), models

    def __call__(
        self, latents: bool, stimuli: bool, targets: tuple[int, ...]
    ) -> Iterator[ShownRows]:
        blocks = shown(
            self._study_id,
            self._events,
            self._models,
            latents=latents,
            stimuli=stimuli,
            targets=targets,
        )
        return filter(len, blocks)


def again(store: Store, place: str | Path | None, study_id: str, models: Models) -> ShowAgain:
    """Shows again what a study has shown, also after its store is closed.

    Args:
        store: the open store.
        place: where it can be opened again; None if the caller keeps it open.
        study_id: the study.
        models: the models of this process.
    """
    if place is None:
        return Again(store, study_id, models)
    if os.fspath(place) in MEMORY:
        return AgainFromMemory(study_id, events_of(store, study_id), models)
    return Again(os.fspath(place), study_id, models)


def events_of(store: Store, study_id: str) -> Iterator[Event]:
    """All events of a study, read in parts.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if an event is damaged.
    """
    after = 0
    while True:
        records = store.read(study_id, after, READ_EVENTS)
        for record in records:
            yield decode(record.body)
        if len(records) < READ_EVENTS:
            return
        after = records[-1].sequence


def result_of(
    store: Store,
    study_id: str,
    study: Study,
    best: list[Best],
    show_again: ShowAgain,
    notes: tuple[str, ...] = (),
) -> Result:
    """The result of a study, with its best candidates as they were rendered."""
    return Result(
        reports.progress(study_id, study),
        best,
        list(reports.generations(store, study_id)),
        list(reports.latents(store, study_id)),
        spec=msgspec.structs.replace(study.spec, budget=study.budget),
        provenance=provenance_of(study),
        notes=notes,
        show_again=show_again,
    )


def provenance_of(study: Study) -> Provenance:
    """Models, settings and versions of a study."""
    return Provenance(
        oracle=_identity(study.oracle_fingerprint),
        generator=_identity(study.generator_fingerprint),
        optimizer=study.optimizer,
        population=study.population,
        stimulus_shape=study.created.stimulus_shape,
        noisy=study.created.noisy,
        numerics=study.created.numerics,
        versions=versions(),
    )


def open_result(
    store: str | Path,
    study_id: str,
    *,
    catalogue: Catalogue | None = None,
    device: str = "cpu",
    stimuli: bool = True,
) -> Result:
    """The result, so far, of a study in a store on this machine; no server is needed.

    Args:
        store: path or URL of the store, such as that of `maximise`.
        study_id: the study's id.
        catalogue: models, which render stimuli; the shipped ones if None. Without the generator of
            the study the result has no stimuli, and `notes` says so.
        device: device of optimizers that propose latents again.
        stimuli: whether to render stimuli, now or later.

    Raises:
        NotFound: if there is no such store, or no such study in it.
    """
    catalogue = catalogue or Catalogue.default()
    with opened(store) as opened_store:
        study = reports.load(opened_store, study_id)
        notes = list[str]()
        generator = _generator(catalogue, opened_store, study, notes) if stimuli else None
        best = reports.best(study_id, study)
        if generator is not None:
            natural = natural_rows(
                study.spec, _images(catalogue, opened_store, study, notes), generator
            )
            best = with_natural(with_stimuli(best, generator), natural)
        equip = equipment.given(generator, catalogue.oracle)
        models = Models(generator=generator, equip=equip, device=device)
        found = again(opened_store, store, study_id, models)
        return result_of(opened_store, study_id, study, best, found, tuple(notes))


def stored_studies(store: str | Path) -> list[StudyProgress]:
    """The progress of each study in a store on this machine, by id. Damaged studies are left out;
    `open_result` says what is wrong with one.

    Raises:
        NotFound: if there is no such store.
    """
    with opened(store) as opened_store:
        return [Published.read(row).progress for row in opened_store.studies() if not row.damage]


@contextmanager
def opened(store: str | Path) -> Iterator[SQLStore]:
    """A store on this machine that exists already.

    Raises:
        NotFound: if there is none.
    """
    place = os.fspath(store)
    if "://" not in place and not Path(place).is_file():
        raise NotFound(
            f"there is no store {place!r}; name the file that blackbox-am run, blackbox-am serve "
            "or maximise(store=...) wrote, such as runs.sqlite3"
        )
    with closing(SQLStore(place)) as found:
        yield found


def _identity(fingerprint: Fingerprint | None) -> Identity:
    if fingerprint is None:
        return Identity()
    return Identity(
        fingerprint.digest, fingerprint.kind, fingerprint.parameters, fingerprint.contents
    )


def _generator(
    catalogue: Catalogue, store: Store, study: Study, notes: list[str]
) -> Generator | None:
    """The study's generator, if this process has the same; else a note says why not."""
    wanted = study.spec.generator
    if wanted is None:
        return None
    try:
        generator = study_generator(catalogue, store.artifacts, wanted)
        recorded = study.generator_fingerprint
        difference = "" if recorded is None else recorded.difference(generator.fingerprint())
    except BlackboxError as error:
        notes.append(f"no stimuli: {error.message}")
        return None
    if difference:
        notes.append(
            f"no stimuli: the generator {wanted.name!r} of this process is another than that of "
            f"the study: {difference}; give a catalogue, or a configuration, that has it"
        )
    return None if difference else generator


def _images(catalogue: Catalogue, store: Store, study: Study, notes: list[str]) -> Images | None:
    """The natural images of the study's baseline, if this process has them; else a note."""
    spec = study.spec.baseline
    try:
        return None if spec is None else baseline_images(catalogue, store.artifacts, spec)
    except BlackboxError as error:
        notes.append(f"no natural images: {error.message}")
        return None
