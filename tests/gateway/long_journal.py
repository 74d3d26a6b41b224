"""A store with a study of very many generations, made in seconds."""

from dataclasses import replace

import msgspec
import numpy as np

from blackbox_am.client import connect
from blackbox_am.core.spec import ArrayData
from blackbox_am.service import running
from blackbox_am.stores import SQLStore
from blackbox_am.studies import folded, reports
from blackbox_am.studies.events import GenerationClosed, RowsTold, StateChanged, decode, entry
from blackbox_am.studies.published import Published

BLOCK = 5000
POPULATION = 2


def make(config, generations, targets=2):
    """Runs a study of one generation, and appends copies of it to its journal.

    Its best score grows by 1 every 1,000 generations.
    """
    with running(config) as address, connect(address) as client:
        client.create(
            targets=[f"units:{place}" for place in range(targets)],
            oracle="sim",
            generator="pixels",
            optimizer="random",
            parameters={"population": POPULATION},
            queries_per_target=POPULATION,
            study_id="long",
        ).wait()
    store = SQLStore(config.store)
    records = [decode(record.body) for record in store.read("long")]
    told = next(event for event in records if isinstance(event, RowsTold))
    closed = next(event for event in records if isinstance(event, GenerationClosed))
    study = reports.load(store, "long")
    sequence = study.sequence
    for start in range(1, generations, BLOCK):
        events = []
        for number in range(start, min(start + BLOCK, generations)):
            events.append(msgspec.structs.replace(told, generation=number, spent=None))
            events.append(_closed(closed, number, targets))
        study.generation, sequence = number + 1, sequence + len(events)
        _append(store, study, sequence, events)
    end = [StateChanged(study.state, study.stop_reason, "made")]
    _append(store, study, sequence + 1, end)
    store.close()
    return sequence + 1


def _closed(closed, number, targets):
    best = np.full(targets, 1.0 + number // 1000)
    improved = tuple(range(targets)) if number % 1000 == 0 or number == 1 else ()
    return msgspec.structs.replace(
        closed,
        generation=number,
        scores=ArrayData.of(np.full((targets, POPULATION), best[0] - 1)),
        best_scores=ArrayData.of(best - 1),
        mean_scores=ArrayData.of(best - 2),
        best_so_far=ArrayData.of(best),
        improved=improved,
        best_rows=ArrayData.of(np.zeros(len(improved), np.int32)),
        best_row_scores=ArrayData.of(best[: len(improved)]),
        best_latents=ArrayData.of(closed.best_latents.numpy()[: len(improved)]),
        search_rows=targets * POPULATION * (number + 1),
    )


def _append(store, study, last, events):
    """Writes events with a row of the index and a folded study that end at them."""
    study.sequence = last
    created = store.find("long").created_at
    view = Published.of("long", study, created)
    view = replace(
        view, progress=replace(view.progress, sequence=last, generation=study.generation)
    )
    store.append(
        "long",
        last - len(events) + 1,
        [entry(event) for event in events],
        summary=view.summary(folded.encode(study)),
    )
