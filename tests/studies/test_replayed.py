"""Studies whose optimizer is another library's: recovered by asking and telling again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_am.core.spec import Budget, ObjectiveSpec, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.libraries._sessions import Session
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.events import GenerationClosed, Resumed, decode
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.studies.snapshots import SNAPSHOT_GENERATIONS
from tests import forked

LIBRARIES = ["pycma", "nevergrad:DiagonalCMA", "nevergrad:TwoPointsDE"]
POPULATION = 6


def spec(optimizer: str, queries: int = 75, space: SpaceSpec | None = None, **budget) -> StudySpec:
    """75 queries are twelve generations and a half."""
    return StudySpec(
        targets=tuple(ObjectiveSpec("mean", quantities=(f"u{k}",)) for k in range(3)),
        budget=Budget(queries_per_target=queries, **budget),
        space=space or SpaceSpec("sphere", 5),
        optimizer=OptimizerSpec(optimizer, {"population": POPULATION}),
        seed=4,
    )


def begin(store: SQLStore, study_spec: StudySpec, study_id: str = "s") -> LiveStudy:
    return LiveStudy.create(store, study_id, resolve(Request(spec=study_spec)).created)


def measure(live: LiveStudy, latents: np.ndarray, target: int, row: int) -> float:
    """A hill, which lifts the last target above 4; some rows fail, and once all of a target's."""
    if (live.study.generation + target + row) % 7 == 0 or (live.study.generation, target) == (3, 1):
        return float("nan")
    return float(4 * target - np.square(latents - 0.2 * target).sum())


def step(live: LiveStudy, most: int = 1000) -> None:
    """Takes candidates and tells them."""
    generation, keys, _ = live.take(most, 0.0)
    values = [
        [measure(live, generation.latents[generation.targets.index(t), r].numpy(), t, r)]
        for t, r in keys
    ]
    targets, rows = (np.array([key[i] for key in keys]) for i in range(2))
    live.tell(generation.index, targets, rows, np.array(values, np.float32))


def finish(live: LiveStudy) -> None:
    while live.study.state.active:
        step(live)


def course(store: SQLStore, study_id: str = "s") -> tuple[object, ...]:
    """What must not depend on interruptions."""
    events = [decode(record.body) for record in store.read(study_id)]
    checksums = [(e.generation, e.checksum) for e in events if isinstance(e, GenerationClosed)]
    scores = [g.scores.tobytes() for g in reports.generations(store, study_id)]
    targets = reports.load(store, study_id).targets
    best = [(t.queries, t.best_score, t.stop_reason, t.best_latent.tobytes()) for t in targets]
    return checksums, scores, best


def resumptions(store: SQLStore) -> list[Resumed]:
    events = [decode(record.body) for record in store.read("s")]
    return [event for event in events if isinstance(event, Resumed)]


@pytest.fixture
def store():
    store = SQLStore(":memory:")
    yield store
    store.close()


@pytest.mark.parametrize(
    ("optimizer", "kept"),
    [
        ("pycma", "best"),
        *(pytest.param(name, "best", marks=pytest.mark.slow) for name in LIBRARIES[1:]),
        pytest.param("pycma", "all", marks=pytest.mark.slow),
    ],
)
def test_killed_between_any_two_calls_it_ends_the_same(closes, store, optimizer, kept):
    """One target drops out early, rows fail, and the budget cuts the last generation."""
    plan = msgspec.structs.replace(spec(optimizer, target_score=4.3), keep_latents=kept)
    calm = closes(SQLStore(":memory:"))
    finish(begin(calm, plan))
    live = begin(store, plan)
    while live.study.state.active:
        step(live, most=7)  # a generation takes three, so it is open at most of the kills
        live = LiveStudy.recover(store, "s")
    assert course(store) == course(calm)
    reasons = {target.stop_reason for target in live.study.targets}
    assert reasons == {StopReason.TARGET, StopReason.BUDGET}
    assert len(resumptions(store)) > 10
    assert all(event.exact for event in resumptions(store))


@pytest.mark.slow
def test_codes_are_recovered_too(closes, store):
    plan = spec("nevergrad:DiscreteOnePlusOne", 30, SpaceSpec("categorical", 8, categories=5))
    calm = closes(SQLStore(":memory:"))
    finish(begin(calm, plan))
    live = begin(store, plan)
    while live.study.state.active:
        step(live)
        live = LiveStudy.recover(store, "s")
    assert course(store) == course(calm)


@pytest.mark.parametrize(
    "optimizer",
    [LIBRARIES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in LIBRARIES[1:])],
)
def test_a_raised_budget_wakes_targets_where_they_were(closes, store, optimizer):
    plan = spec(optimizer, queries=5 * POPULATION)
    finish(begin(store, plan))
    live = LiveStudy.recover(store, "s")
    live.extend(Budget(queries_per_target=9 * POPULATION))
    finish(live)
    calm = closes(SQLStore(":memory:"))
    finish(begin(calm, spec(optimizer, queries=9 * POPULATION)))
    assert course(store) == course(calm)


def test_no_snapshot_is_taken(store):
    live = begin(store, spec("pycma", POPULATION * (SNAPSHOT_GENERATIONS + 3)))
    finish(live)
    assert live.study.generation > SNAPSHOT_GENERATIONS
    assert store.load_snapshot("s") is None


def test_latents_that_come_out_different_are_said_so(store, monkeypatch):
    live = begin(store, spec("pycma"))
    for _ in range(3):
        step(live)
    monkeypatch.setattr("blackbox_am.studies.search.checksum", lambda array: b"other")
    live = LiveStudy.recover(store, "s")
    [event] = resumptions(store)
    assert not event.exact
    assert "this version of the library" in event.message
    finish(live)
    assert live.study.state is StudyState.SUCCEEDED


def test_latents_handed_out_that_are_not_its_own_are_said_so_and_not_learnt_from(
    store, monkeypatch
):
    live = begin(store, spec("pycma"))
    step(live, most=3)
    told = []
    propose, tell = Session.ask, Session.tell
    monkeypatch.setattr(Session, "ask", lambda self, seed: propose(self, seed))
    monkeypatch.setattr(
        Session, "tell", lambda self, scores: (told.append(scores), tell(self, scores))
    )
    monkeypatch.setattr(
        "blackbox_am.optimizers.libraries.pycma._Search._ask",
        lambda self, seed: [x + 1e-3 for x in self._es.ask()],
    )
    live = LiveStudy.recover(store, "s")
    assert [event.exact for event in resumptions(store)] == [False]
    step(live)
    assert live.study.generation == 1
    assert np.isnan(told).all()


@pytest.mark.parametrize("when", ["asked", "told"])
def test_a_library_that_fails_in_replay_ends_no_process(store, monkeypatch, when):
    """Another version of it may fail where one did not: the study can still be read and ended."""
    live = begin(store, spec("nevergrad:DE"))
    step(live)

    def fail(self, *_):
        raise IndexError("list index out of range")

    from nevergrad.optimization.differentialevolution import _DE

    method = {"asked": "_internal_ask_candidate", "told": "_internal_tell_candidate"}[when]
    monkeypatch.setattr(_DE, method, fail)
    live = LiveStudy.recover(store, "s")
    assert [event.exact for event in resumptions(store)] == [False]
    with pytest.raises(Unsupported, match=f"DE failed when it was {when}.*IndexError.*TwoPointsDE"):
        step(live)
    LiveStudy.recover(store, "s").fail("it cannot go on")
    assert reports.load(store, "s").state is StudyState.FAILED


CHILD = """
import sys, time
sys.path.insert(0, {folder!r})
import test_replayed as here
store = here.SQLStore(sys.argv[1])
lives = [here.begin(store, here.spec(name), name[:5]) for name in here.LIBRARIES[:2]]
while True:
    for live in lives:
        here.step(live, most=7)
    print(live.study.generation, flush=True)
    time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_process_killed_by_sigkill_is_taken_up_by_another(closes, tmp_path):
    """Two studies in one process, so that they could disturb each other."""
    path = str(tmp_path / "studies.sqlite3")
    program = CHILD.format(folder=str(Path(__file__).parent))
    with forked.Popen(
        [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            if int(line) >= 5:
                break
        child.kill()
    store = SQLStore(path)
    for name in LIBRARIES[:2]:
        live = LiveStudy.recover(store, name[:5])
        assert 5 <= live.study.generation < 12, "it was killed in the middle"
        assert live.study.sequence == len(store.read(name[:5]))
        finish(live)
        calm = closes(SQLStore(":memory:"))
        finish(begin(calm, spec(name)))
        assert course(store, name[:5]) == course(calm)
    store.close()
