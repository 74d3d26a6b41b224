"""The loop writes a generation while it measures the next one, and loses nothing by it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from blackbox_am.core.metering import count, metering
from blackbox_am.core.observation import Observation
from blackbox_am.core.spec import Budget, ObjectiveSpec, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.types import Accounting, StopReason
from blackbox_am.errors import NotOwner, OracleUnavailable, StoreError
from blackbox_am.evaluation import Rows
from blackbox_am.stores import SQLStore
from blackbox_am.studies import loop, reports
from blackbox_am.studies.billing import UnbilledUsage
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve

SPEC = StudySpec(
    targets=(ObjectiveSpec("mean", quantities=("s",)),),
    budget=Budget(queries_per_target=50),
    space=SpaceSpec("normal", 4),
    optimizer=OptimizerSpec("cma", {"population": 10}),
)
WAIT = 20.0


class Evaluator:
    """Counts its calls and its rows; `before` is called with the number of each call."""

    def __init__(self, *, billable: bool = False, before: Any = lambda call: None) -> None:
        self.billable = billable
        self.served = 0
        self._calls = 0
        self._before = before

    def submit(self, rows: Rows, *, gradients: bool = False) -> Future[Observation]:
        self._calls += 1
        future: Future[Observation] = Future()
        with metering() as meter:
            self._before(self._calls)
            count(Accounting(calls=1, rows=len(rows)))
            self.served += len(rows)
        values = -np.square(rows.latents.numpy().astype(np.float64) - 1).sum(axis=1, keepdims=True)
        ones = np.ones(len(rows), bool)
        future.set_result(Observation(rows.targets, rows.rows, (), values, ones, meter.total))
        return future


class SlowStore(SQLStore):
    """A store whose appends wait while it is not `free`, or fail with `error`, before or after they
    are committed.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None
        self.committed = False

    def append(self, *arguments: Any, **options: Any) -> None:
        assert self.free.wait(WAIT)
        if self.error is not None:
            error, self.error = self.error, None
            if self.committed:
                super().append(*arguments, **options)
            raise error
        super().append(*arguments, **options)


@pytest.fixture
def store(tmp_path):
    store = SlowStore(str(tmp_path / "s.sqlite3"))
    yield store
    store.close()


def begin(store: SQLStore) -> LiveStudy:
    live = LiveStudy.create(store, "s", resolve(Request(spec=SPEC)).created)
    live.start()
    return live


def fingerprint(tmp_path: Any) -> bytes:
    """The result of a study that nobody disturbs."""
    store = SQLStore(str(tmp_path / "calm.sqlite3"))
    loop.run(begin(store), Evaluator(billable=True))
    found = scores(store)
    store.close()
    return found


def scores(store: SQLStore) -> bytes:
    return b"".join(g.scores.tobytes() for g in reports.generations(store, "s"))


def test_the_next_generation_is_measured_while_one_is_written(store, tmp_path):
    live = begin(store)
    seen, reported = [], []

    def before(call: int) -> None:
        if call == 1:
            store.free.clear()
        elif call == 2:  # the first generation cannot be in the store yet
            seen.append((live.published.progress.generation, list(reported)))
            store.free.set()

    loop.run(
        live,
        Evaluator(before=before),
        after_generation=lambda live: reported.append(live.published.progress.generation),
    )
    assert seen == [(0, [])]
    assert reported == [1, 2, 3, 4, 5]
    assert live.published.progress.stop_reason is StopReason.BUDGET
    assert scores(store) == fingerprint(tmp_path)


def test_the_answers_of_a_billable_oracle_are_stored_before_its_next_call(store):
    live = begin(store)
    stored = []
    before = lambda call: stored.append(reports.load(store, "s").generation)  # noqa: E731
    loop.run(live, Evaluator(billable=True, before=before))
    assert stored == [0, 1, 2, 3, 4]


def test_a_caller_waits_for_the_write(store):
    live = begin(store)

    def before(call: int) -> None:
        if call == 1:
            store.free.clear()
        elif call == 2:
            pausing.start()
            pausing.join(0.2)
            assert pausing.is_alive()
            store.free.set()
            pausing.join(WAIT)

    pausing = threading.Thread(target=live.pause)
    loop.run(live, Evaluator(before=before))
    assert live.study.stop_reason is StopReason.USER
    assert reports.load(store, "s").generation == 2  # the measured generation is kept


@pytest.mark.parametrize("error", [NotOwner("taken"), StoreError("the disk is full")])
@pytest.mark.parametrize("billable", [False, True])
def test_a_failed_write_stops_the_loop_and_every_row_is_billed(store, tmp_path, error, billable):
    live, unbilled = begin(store), UnbilledUsage()

    def before(call: int) -> None:
        if call == 2:  # the write of the second generation fails
            live.written()
            store.error = error

    evaluator = Evaluator(before=before, billable=billable)
    with pytest.raises(type(error), match=error.message):
        loop.run(live, evaluator, unbilled=unbilled)
    assert evaluator.served in ((20,) if billable else (20, 30))
    assert reports.load(store, "s").generation == 1
    loop.run(LiveStudy.recover(store, "s"), evaluator, unbilled=unbilled)
    study = reports.load(store, "s")
    assert study.spent.rows == evaluator.served == study.search_rows + study.spent.retried_rows
    assert scores(store) == fingerprint(tmp_path)


@pytest.mark.parametrize("billable", [False, True])
def test_rows_whose_write_failed_after_its_commit_are_billed_once(store, tmp_path, billable):
    live = begin(store)

    def before(call: int) -> None:
        if call == 2:
            live.written()
            store.error, store.committed = StoreError("the database was lost"), True

    evaluator = Evaluator(before=before, billable=billable)
    loop.run(live, evaluator)
    assert store.error is None
    study = reports.load(store, "s")
    assert study.spent.rows == evaluator.served == study.search_rows
    assert study.spent.retried_rows == 0
    assert scores(store) == fingerprint(tmp_path)


@pytest.mark.parametrize("method", ["read", "check"])
def test_a_write_that_was_lost_after_its_commit_is_an_error_while_the_store_is_away(
    store, monkeypatch, method
):
    live = begin(store)

    def away(*arguments, **options):
        raise StoreError("away")

    monkeypatch.setattr(store, method, away)
    store.error, store.committed = StoreError("the database was lost"), True
    with pytest.raises(StoreError, match="the database was lost"):
        live.pause()
    assert live.stale


def test_a_write_to_a_deleted_file_is_an_error_though_it_can_be_read(store, tmp_path):
    live = begin(store)
    for file in tmp_path.glob("s.sqlite3*"):
        file.unlink()
    assert store.read("s"), "the open file is still there for this process"
    with pytest.raises(StoreError, match="is missing"):
        live.pause()
    assert live.stale


def test_a_failed_oracle_does_not_hide_the_generation_before(store):
    live, reported = begin(store), []

    def before(call: int) -> None:
        if call == 3:
            raise OracleUnavailable("away")

    with pytest.raises(OracleUnavailable):
        loop.run(live, Evaluator(before=before), after_generation=lambda live: reported.append(1))
    assert len(reported) == 2
    assert reports.load(store, "s").generation == 2
