"""What a study has shown, from its journal: candidates, latents, stimuli, measurements, scores.

The journal has every measurement. It has the latents of candidates that clients measured, and all
latents if the study keeps them; other latents are proposed again by the optimizer, generation by
generation, and compared with the checksums of the journal. Nothing is left out silently: what
cannot be given exactly raises an error with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.checksums import checksum
from blackbox_am.core.generator import Generator
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.shown import ShownRows
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import ModelChanged, Unsupported
from blackbox_am.evaluation.rendering import render
from blackbox_am.studies.equipment import Equip, nothing
from blackbox_am.studies.events import (
    BaselineMeasured,
    Event,
    GenerationClosed,
    OracleProbed,
    Rechecked,
)
from blackbox_am.studies.search import Search
from blackbox_am.studies.study import Study

Array = NDArray[Any]
Counting = Callable[[int], AbstractContextManager[None]]
"""Counts rows inside the context; may refuse them."""


def _uncounted(rows: int) -> AbstractContextManager[None]:
    del rows
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class Models:
    """What a process has for showing again.

    Attributes:
        generator: the generator of the study's stimuli; None for a bare space.
        equip: gives the optimizer the models that it uses.
        device: device of the optimizer's tensors.
        counting: counts rows while they are rendered; may refuse them.
        part_rows: largest number of rows that are rendered at a time; None for a generation.
    """

    generator: Generator | None = None
    equip: Equip = nothing
    device: torch.device | str = "cpu"
    counting: Counting = _uncounted
    part_rows: int | None = None


def shown(
    study_id: str,
    events: Iterable[Event],
    models: Models,
    *,
    latents: bool = True,
    stimuli: bool = False,
    targets: Sequence[int] = (),
) -> Iterator[ShownRows]:
    """The measured candidates of each generation, in order; the open generation is the last.

    A generation is one block, or several if its stimuli are rendered in parts. A generation without
    candidates of the wanted targets is an empty block, so that a caller can stop there.

    Args:
        study_id: the study.
        events: its journal, from the first event.
        models: the models of this process.
        latents: whether to give latents.
        stimuli: whether to render stimuli, which needs their latents. They are the stimuli before
            the study's transformations.
        targets: only candidates of these targets; all if empty.

    Raises:
        Unsupported: if latents are neither in the journal nor can be proposed again; the message
            has the reason, and earlier generations were given.
        QuotaExceeded: if `models.counting` refuses rows.
        ModelChanged: if stimuli are requested that another generator rendered.
    """
    journal = iter(events)
    study = Study.fold([next(journal)])
    source = _Latents(study_id, study, models) if latents or stimuli else None
    screen = _Screen(study_id, study, models) if stimuli else None
    wanted = np.asarray(sorted(set(targets)), np.int64) if targets else None
    for event in journal:
        if isinstance(event, (GenerationClosed, Rechecked)):
            rows = _measured(study_id, study, event, source)
            yield from _given(rows, wanted, latents, screen)
        study.apply(event)
        if isinstance(event, (OracleProbed, BaselineMeasured)) and source is not None:
            source.restart()  # both can change the optimizer and its start
    if study.measured.told.any():
        yield from _given(_measured(study_id, study, None, source), wanted, latents, screen)


def _given(
    rows: ShownRows, wanted: NDArray[np.int64] | None, latents: bool, screen: _Screen | None
) -> Iterator[ShownRows]:
    """`rows` of the wanted targets, with stimuli, without latents that are not wanted."""
    if wanted is not None:
        rows = rows.part(np.isin(rows.targets, wanted))
    for part in [rows] if screen is None else screen.shown(rows):
        yield part if latents else replace(part, latents=None)


def _measured(
    study_id: str,
    study: Study,
    event: GenerationClosed | Rechecked | None,
    source: _Latents | None,
) -> ShownRows:
    """The measured rows of the open generation, which `event` closes, or nothing yet."""
    told = study.measured.told
    places, rows = np.nonzero(told)
    scores = study.scored().scores if event is None else _padded(event.scores.numpy(), told.shape)
    proposed = None if source is None else source.of(event)
    return ShownRows(
        study_id,
        study.generation,
        tuple(tuple(map(str, target.layout.quantities)) for target in study.targets),
        np.asarray(study.active, np.int64)[places],
        rows.astype(np.int64),
        scores[places, rows],
        study.measured.values[places, rows],
        None if proposed is None else proposed[places, rows],
        recheck=study.rechecking,
    )


def _padded(scores: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Scores of all rows; those behind the last wanted row are nan."""
    whole = np.full(shape, np.nan)
    whole[:, : scores.shape[1]] = scores
    return whole


class _Latents:
    """The latents of each generation, from the journal or from the optimizer."""

    def __init__(self, study_id: str, study: Study, models: Models) -> None:
        self._study_id, self._study, self._models = study_id, study, models
        self._search: Search | None = None
        self._replays = study.spec.keep_latents != "all" and study.spec.oracle is not None
        if self._replays:
            self.restart()

    def restart(self) -> None:
        """Begin again with the optimizer and the start that the study has now."""
        if not self._replays:
            return
        device = torch.device(self._models.device)
        self._search = Search(self._study, device, self._models.equip)
        if self._search.optimizer.order == 1:
            raise self._error(
                f"{self._search.optimizer.name} climbs gradients, which no journal keeps, so that "
                "its latents cannot be proposed again"
            )

    def of(self, event: GenerationClosed | Rechecked | None) -> Array:
        """(active, p, D) latents of the open generation, which `event` closes.

        Raises:
            Unsupported: if there are none.
        """
        study = self._study
        if isinstance(event, Rechecked):
            return _again(study, event)
        if self._search is None:
            return self._kept(event)
        proposed = self._search.ask(study).latents
        expected = study.measured.checksum if event is None else event.checksum
        if event is None and not expected and study.opened is None:
            raise self._error(f"the journal has no checksum of generation {study.generation}")
        if expected and checksum(proposed) != expected:
            raise self._error(
                f"the optimizer proposes other latents for generation {study.generation} than "
                "were measured, on this machine, with this version of its library, or since the "
                "search went on from a snapshot"
            )
        if event is None:
            return self._whole(proposed)
        self._search.learn(study, proposed, event.scores.numpy())
        return self._whole(proposed)

    def _kept(self, event: GenerationClosed | None) -> Array:
        """Latents from the journal."""
        study = self._study
        if study.opened is not None:
            return study.opened
        if event is not None and event.latents is not None:
            return self._whole(torch.tensor(event.latents.numpy()))
        if event is None:  # measured, but not closed: the next event would have had them
            raise self._error(
                f"generation {study.generation} is not complete, and its latents are written when "
                "it is"
            )
        raise self._error(f"the journal has no latents of generation {study.generation}")

    def _whole(self, latents: torch.Tensor) -> Array:
        """Latents of all rows; rows that the optimizer did not propose were never measured."""
        found: Array = latents.cpu().numpy()
        missing = self._study.rows - found.shape[1]
        return np.pad(found, ((0, 0), (0, missing), (0, 0))) if missing > 0 else found

    def _error(self, reason: str) -> Unsupported:
        return Unsupported(
            f"study {self._study_id!r}: the latents of its candidates cannot be given: {reason}. "
            "Ask for the history without latents and stimuli, and create studies whose latents "
            "you need with keep_latents='all'"
        )


def _again(study: Study, event: Rechecked) -> Array:
    """(active, P, D) latents of a re-check: copies of each centre, then of each best candidate."""
    if study.opened is not None:
        return study.opened
    best = [study.targets[index].best_latent for index in event.targets]
    latents = np.stack([one for one in best if one is not None])[:, None].repeat(study.rows, 1)
    if event.centres is not None:
        latents[:, : event.centre_rows] = event.centres.numpy()[:, None]
    return latents


class _Screen:
    """Renders stimuli, if the generator is the one that rendered them for the study."""

    def __init__(self, study_id: str, study: Study, models: Models) -> None:
        generator = models.generator
        self._study_id, self._study, self._generator = study_id, study, generator
        self._counting, self._part_rows = models.counting, models.part_rows
        self._checked: Fingerprint | None = None
        if study.spec.generator is None:
            raise Unsupported(
                f"study {study_id!r} searches a bare space and has no generator: its latents are "
                "the stimuli; ask for the history without stimuli"
            )
        if generator is None:
            raise Unsupported(
                f"the stimuli of study {study_id!r} need its generator "
                f"{study.spec.generator.name!r}, which is not here; give a catalogue that has it, "
                "or ask for the history without stimuli"
            )
        self._now = generator.fingerprint()

    def shown(self, rows: ShownRows) -> Iterator[ShownRows]:
        """`rows` in parts, with stimuli float32 in [0, 1]; stimuli that are not finite are nan.

        Raises:
            ModelChanged: if another generator rendered these rows.
        """
        if not len(rows):
            yield rows
            return
        step = self._part_rows or len(rows)
        for start in range(0, len(rows), step):
            part = rows.part(slice(start, start + step))
            with self._counting(len(part)):
                stimuli = self._stimuli(part)
            yield replace(part, stimuli=stimuli)

    def _stimuli(self, rows: ShownRows) -> NDArray[np.float32]:
        recorded = self._study.generator_fingerprint
        if recorded is not None and recorded is not self._checked:
            difference = recorded.difference(self._now)
            if difference:
                raise ModelChanged(
                    f"the stimuli of generation {rows.generation} of study {self._study_id!r} were "
                    f"rendered by another generator: {difference}. Give the generator of that "
                    "time, or ask for the history without stimuli"
                )
            self._checked = recorded
        assert self._generator is not None
        assert rows.latents is not None
        return render(self._generator, rows.latents, rows.targets.tolist())
