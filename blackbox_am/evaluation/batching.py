"""Batches of one oracle with rows of several studies."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
import torch

from blackbox_am.core.criterion import Criterion
from blackbox_am.core.generator import Generator, check_latent_shape
from blackbox_am.core.objective import Objective
from blackbox_am.core.observation import Observation
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import Accounting
from blackbox_am.errors import Unsupported
from blackbox_am.evaluation.evaluator import Rows
from blackbox_am.evaluation.local import LocalEvaluator
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.wrappers.measurement.transformed import draws_anew

WAIT_SECONDS = 0.002
"""Seconds that a batch that is not full waits for the rows of other studies."""
KEPT_GROUPS = 64
"""Number of groups of studies whose joint columns are cached."""


@dataclass(frozen=True)
class _Job:
    member: BatchingEvaluator
    rows: Rows
    future: Future[Observation]


class SharedBatches:
    """The batches of one generator and one oracle, and a thread that measures them.

    Without this, most of a large batch is padding if generations are small. Here one batch contains
    the rows of several studies. In a fixed batch shape, a row's values depend neither on its
    neighbours nor on the other units that are read: the values of every study are bit-identical to
    those that it measures alone.

    Attributes:
        generator: from latents to stimuli. A generator that distinguishes targets cannot be shared
            by several studies.
        oracle: from stimuli to activations; not billable, because a billable oracle has no padding,
            and without transformations that depend on the generation.
        batch_size: rows in each call.

    Raises:
        Unsupported: for a generator or an oracle that cannot be shared.
    """

    def __init__(self, generator: Generator, oracle: Oracle, batch_size: int) -> None:
        if generator.targets is not None:
            raise Unsupported(
                f"this {generator.kind} generator has an input for each target of one study; it "
                "cannot fill the batches of several"
            )
        if oracle.billable:
            raise Unsupported("a billable oracle sees no padding; each study asks it alone")
        if draws_anew(oracle):
            raise Unsupported(
                "an oracle that transforms stimuli anew in each generation cannot fill its batches "
                "with rows of several studies, whose generations differ; each study asks it alone"
            )
        self.generator = generator
        self.oracle = oracle
        self.batch_size = batch_size
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._members: list[BatchingEvaluator] = []
        self._together: dict[tuple[int, ...], LocalEvaluator] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    def join(
        self, objectives: tuple[Objective, ...], criteria: tuple[Criterion, ...] = ()
    ) -> BatchingEvaluator:
        """An evaluator for one more study.

        Raises:
            BlackboxError: as in `LocalEvaluator`.
        """
        alone = LocalEvaluator(self.generator, self.oracle, objectives, self.batch_size, criteria)
        member = BatchingEvaluator(self, alone)
        with self._lock:
            self._members.append(member)
        return member

    def leave(self, member: BatchingEvaluator) -> None:
        """Stops waiting for the rows of `member`."""
        with self._lock:
            self._members.remove(member)
            self._together.clear()

    def close(self) -> None:
        """Measures the submitted rows, and ends the thread."""
        self._jobs.put(None)
        self._thread.join()

    def submit(self, job: _Job) -> None:
        """Queues `job`, whose rows are measured together with rows of other studies."""
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs, closing = self._gather(job)
            try:
                self._measure(jobs)
            except Exception as error:  # noqa: BLE001  # passed to every study in the batch
                for each in jobs:
                    if not each.future.done():
                        each.future.set_exception(error)
            if closing:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """The jobs of the next batches: from every study, or from the studies that submitted in
        time.
        """
        jobs, deadline = [first], time.monotonic() + WAIT_SECONDS
        while len(jobs) < len(self._members):
            try:
                job = self._jobs.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _measure(self, jobs: list[_Job]) -> None:
        together = self._joined([job.member for job in jobs])
        offsets = np.cumsum([0] + [len(job.member.alone.objectives) for job in jobs])
        rows = Rows(
            torch.cat([job.rows.latents for job in jobs]),
            np.concatenate(
                [job.rows.targets + offset for job, offset in zip(jobs, offsets, strict=False)]
            ),
            np.concatenate([job.rows.rows for job in jobs]),
        )
        whole = together.submit(rows).result()
        start = 0
        for index, job in enumerate(jobs):
            stop = start + len(job.rows)
            job.future.set_result(_part(whole, job, start, stop, first=index == 0))
            start = stop

    def _joined(self, members: list[BatchingEvaluator]) -> LocalEvaluator:
        """An evaluator of the targets of all members, one after the other."""
        key = tuple(map(id, members))
        if key not in self._together:
            layouts = [layout for member in members for layout in member.alone.layouts]
            # An objective of a target's quantities has the same layout as the target.
            reading = tuple(Mean(tuple(map(str, layout.quantities))) for layout in layouts)
            if len(self._together) >= KEPT_GROUPS:
                self._together.clear()
            self._together[key] = replace(members[0].alone, objectives=reading, criteria=())
        return self._together[key]


@dataclass(frozen=True, eq=False)
class BatchingEvaluator:
    """The evaluator of one study among those that share batches.

    Attributes:
        shared: the batches.
        alone: measures requests with gradients, which cannot be shared.
    """

    shared: SharedBatches
    alone: LocalEvaluator

    @property
    def billable(self) -> bool:
        """Billable oracles are not shared."""
        return False

    def submit(self, rows: Rows, *, gradients: bool = False) -> Future[Observation]:
        """See `Evaluator.submit`. The future is done when a shared batch has been measured."""
        if gradients:
            return self.alone.submit(rows, gradients=True)
        check_latent_shape(self.shared.generator.space, rows.latents)
        future: Future[Observation] = Future()
        self.shared.submit(_Job(self, rows, future))
        return future


def _part(whole: Observation, job: _Job, start: int, stop: int, *, first: bool) -> Observation:
    """The part of a shared observation that belongs to `job`. Calls and padding are accounted to
    the first job.
    """
    width = max(len(layout.quantities) for layout in job.member.alone.layouts)
    others = len(whole.rows) - (stop - start)
    usage = Accounting(rows=stop - start) if whole.usage.rows else Accounting()
    if first and whole.usage.rows:
        usage = replace(whole.usage, rows=whole.usage.rows - others)
    names = tuple(tuple(map(str, la.quantities)) for la in job.member.alone.layouts)
    return Observation(
        job.rows.targets,
        job.rows.rows,
        names,
        whole.values[start:stop, :width].copy(),
        whole.rendered[start:stop].copy(),
        usage,
    )
