"""`bench loop`, parts (a) and (d): a study in this process, over generator and oracle alone.

Everything computes on a CUDA device where there is one.

(a) The whole study with its journal on disk, against generator and oracle alone on the same latents
    in the same batches. The two alternate, generation by generation.
(d) The same for other numbers of targets and the default optimizer; and the rows that the oracle
    computes over the rows that the search needs, for all targets and for a study of whose targets
    the first half has finished. Padding, and tests of smaller batches, are among the computed rows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blackbox_am.bench.measurement import Measurement, compare
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.devices import resolve_device
from blackbox_am.core.expressions import objective
from blackbox_am.core.observation import Observation
from blackbox_am.core.spec import Budget, CriterionSpec, GeneratorSpec, OptimizerSpec, StudySpec
from blackbox_am.evaluation import Evaluator, Rows
from blackbox_am.stores import SQLStore
from blackbox_am.studies import loop
from blackbox_am.studies.measuring import evaluator_of
from blackbox_am.studies.resolving import Request, open_study

Progress = Callable[[str], None]

POPULATION = 16
UNITS = [f"head:{k}" for k in range(10)] + [f"layer3:{k}" for k in range(54)]
TARGETS = 16
"""K of (a), so that a generation has K·P = 256 rows."""
NUMBERS = (1, 3, 4, 5, 7, 8, 64)
"""K of (d)."""
SHORTEST = 4
"""Fewest generations of (d)."""


def study_overhead(generations: int, say: Progress) -> list[Measurement]:
    """(a): seconds a generation, whole study over evaluator alone, and of its append."""
    optimizer = OptimizerSpec("cma", {"population": POPULATION})
    found = _searched(_spec(TARGETS, optimizer), generations, say, "(a)")
    return [
        _overhead("(a)", found),
        compare(
            "(a) append / oracle + generator alone", found.appends, found.alone, "s/generation"
        ),
    ]


def target_numbers(generations: int, say: Progress) -> list[Measurement]:
    """(d): time and rows for each number of targets.

    Args:
        generations: generations of a study with few rows. A study with more rows has fewer.
        say: receives progress messages.
    """
    lines = []
    for targets in NUMBERS:
        name = f"(d) K = {targets}"
        few = max(SHORTEST, generations * NUMBERS[3] // max(targets, NUMBERS[3]))
        found = _searched(_spec(targets, OptimizerSpec()), few, say, name)
        lines += [_overhead(name, found), _rows(name, found)]
        if targets > 1:
            half = _spec(targets, OptimizerSpec(), finished=-(-targets // 2))
            found = _searched(half, 2 * few, say, f"{name}, half finished")
            lines.append(_rows(f"{name}, half finished", found))
    return lines


class _Twice:
    """An evaluator that measures each generation for the study, and then once more alone.

    Attributes:
        whole: seconds from the end of one measurement alone to the end of the next one for the
            study: all that the study does for a generation.
        alone: seconds of the same measurement alone.
        computed, searched: rows that the oracle computed for the study, and rows of the study, for
            each generation.
        appends: seconds of the appends, in order.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.whole: list[float] = []
        self.alone: list[float] = []
        self.computed: list[int] = []
        self.searched: list[int] = []
        self.appends: list[float] = []
        self._evaluator = evaluator
        self._ended = 0.0

    @property
    def billable(self) -> bool:
        """As the inner evaluator."""
        return self._evaluator.billable

    def submit(self, rows: Rows, *, gradients: bool = False) -> Future[Observation]:
        """See `Evaluator.submit`."""
        future = self._evaluator.submit(rows, gradients=gradients)
        usage = future.result().usage
        measured = time.perf_counter()
        again = Rows(rows.latents.clone(), rows.targets, rows.rows)
        self._evaluator.submit(again, gradients=gradients).result()
        before, self._ended = self._ended, time.perf_counter()
        if before:  # the first is a warm-up
            self.whole.append(measured - before)
            self.alone.append(self._ended - measured)
            self.computed.append(usage.rows)
            self.searched.append(len(rows))
        return future


class _TimedStore(SQLStore):
    """A store that keeps the seconds of each append."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.seconds: list[float] = []

    def append(self, *arguments: Any, **options: Any) -> None:
        started = time.perf_counter()
        super().append(*arguments, **options)
        self.seconds.append(time.perf_counter() - started)


def _searched(spec: StudySpec, generations: int, say: Progress, name: str) -> _Twice:
    catalogue = Catalogue.default()
    generator, device = catalogue.generator("cifar_vae"), resolve_device("auto")
    generator.to(device)
    request = Request(
        spec=spec,
        generator=generator,
        oracle=catalogue.oracle("cifar_cnn"),
        device=device,
    )
    with tempfile.TemporaryDirectory() as folder:
        store = _TimedStore(str(Path(folder) / "loop.sqlite3"))
        live = open_study(store, "loop", request)
        evaluator = evaluator_of(live, request)
        assert evaluator is not None  # the oracle has no quota
        twice = _Twice(evaluator)

        def stopped() -> bool:
            # Where targets finish at different times, one step can close several generations.
            say(f"{name} generation {min(len(twice.whole), generations)} of {generations}")
            return len(twice.whole) >= generations

        loop.run(live, twice, stopped=stopped)
        twice.appends = store.seconds[-generations:]
        store.close()
    return twice


def _overhead(name: str, found: _Twice) -> Measurement:
    title = f"{name} whole study / oracle + generator alone"
    return compare(title, found.whole, found.alone, "s/generation", at_most=1.05)


def _rows(name: str, found: _Twice) -> Measurement:
    computed, searched = sum(found.computed), sum(found.searched)
    ratio = computed / searched
    title = f"{name}: oracle rows / search rows"
    return Measurement(title, computed, "rows", searched, ratio, "<= 1.05", ratio <= 1.05)


def _spec(targets: int, optimizer: OptimizerSpec, *, finished: int = 0) -> StudySpec:
    """The study of the first `targets` units, of which the first `finished` succeed at once."""
    units, far = UNITS[:targets], float(np.finfo(np.float32).max)
    criteria = tuple(
        CriterionSpec("threshold", (unit,), {"at_least": -far if place < finished else far})
        for place, unit in enumerate(units)
    )
    return StudySpec(
        targets=tuple(objective(unit) for unit in units),
        criteria=criteria if finished else (),
        budget=Budget(queries_per_target=1000),
        generator=GeneratorSpec("cifar_vae"),
        oracle="cifar_cnn",
        optimizer=optimizer,
    )


def threads() -> int:
    """Number of torch's threads in this benchmark."""
    return torch.get_num_threads()
