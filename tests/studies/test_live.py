"""A live study: begun once, fenced, extended, recovered."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
import torch

from blackbox_am.core import state as states
from blackbox_am.core.observation import Observation
from blackbox_am.core.spec import (
    ArrayData,
    Budget,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StartSpec,
    StudySpec,
)
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import (
    GradientUnavailable,
    InvalidInput,
    InvalidSpec,
    SequenceTaken,
    ShapeMismatch,
    StoreCorrupt,
    StoreError,
    StudyClosed,
    StudyExists,
    Unsupported,
)
from blackbox_am.evaluation import Rows
from blackbox_am.stores import SQLStore, journal
from blackbox_am.studies import reports
from blackbox_am.studies.events import Resumed, decode
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.studies.snapshots import SNAPSHOT_GENERATIONS


def spec(queries: int = 40, targets: int = 2, optimizer: str = "cma", **budget) -> StudySpec:
    return StudySpec(
        targets=tuple(ObjectiveSpec("mean", quantities=(f"s{k}",)) for k in range(targets)),
        budget=Budget(queries_per_target=queries, **budget),
        space=SpaceSpec("normal", 4),
        optimizer=OptimizerSpec(optimizer, {"population": 10}),
    )


def begin(store: SQLStore, study_spec: StudySpec | None = None, **options) -> LiveStudy:
    return LiveStudy.create(
        store, "s", resolve(Request(spec=study_spec or spec())).created, **options
    )


def score(latents: np.ndarray) -> np.ndarray:
    return -np.square(latents.astype(np.float64) - 1).sum(axis=-1, keepdims=True)


def step(live: LiveStudy) -> None:
    generation = live.generation()
    live.start()
    rows = Rows.of(generation.latents, generation.targets, generation.wanted)
    values = score(rows.latents.numpy())
    rendered = np.ones(len(rows), bool)
    live.tell_generation(generation, Observation(rows.targets, rows.rows, (), values, rendered))


@pytest.fixture
def store():
    store = SQLStore(":memory:")
    yield store
    store.close()


def test_the_same_spec_is_the_same_study(store):
    step(begin(store))
    again = begin(store)
    assert again.study.generation == 1


def test_another_spec_under_the_same_id_is_refused(store):
    begin(store)
    with pytest.raises(StudyExists, match=r"seed was .* and is 12"):
        begin(store, msgspec.structs.replace(spec(), seed=12))
    more = begin(store, spec(queries=spec().budget.queries_per_target + 9))
    assert more.study.budget.queries_per_target == spec().budget.queries_per_target + 9


def test_two_owners_are_fenced(store):
    first = begin(store)
    second = LiveStudy.recover(store, "s")
    step(second)
    with pytest.raises(SequenceTaken):
        step(first)
    with pytest.raises(StoreError, match="taken up again"):
        first.generation()
    assert reports.load(store, "s").fingerprint() == second.study.fingerprint()


def test_asking_again_gives_the_same_latents(store):
    live = begin(store)
    assert live.generation() is live.generation()
    latents = live.generation().latents
    assert torch.equal(LiveStudy.recover(store, "s").generation().latents, latents)


def test_the_budget_cuts_the_last_generation(store):
    live = begin(store, spec(queries=25))
    rows = []
    while live.study.state.active:
        rows.append(live.generation().wanted.sum(axis=1).tolist())
        step(live)
    assert rows == [[10, 10], [10, 10], [5, 5]]
    assert [t.queries for t in live.study.targets] == [25, 25]
    assert live.study.stop_reason is StopReason.BUDGET


def test_a_budget_below_one_generation_runs_a_smaller_one(store):
    live = begin(store, spec(queries=3))
    step(live)
    assert live.study.state is StudyState.SUCCEEDED
    assert live.study.search_rows == 6


def test_a_raised_budget_goes_on_where_it_ended(closes, store):
    live = begin(store, spec(queries=20))
    while live.study.state.active:
        step(live)
    live.extend(Budget(queries_per_target=60))
    assert live.study.state is StudyState.PENDING
    while live.study.state.active:
        step(live)
    whole = begin(closes(SQLStore(":memory:")), spec(queries=60))
    while whole.study.state.active:
        step(whole)
    for extended, plain in zip(live.study.targets, whole.study.targets, strict=True):
        assert extended.queries == plain.queries == 60
        assert extended.best_score == plain.best_score
        assert np.array_equal(extended.best_latent, plain.best_latent)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"patience": 1}, {"patience": 30}, StopReason.PATIENCE),
        ({"patience": 1}, {}, StopReason.PATIENCE),
        ({"target_score": -1e3}, {"target_score": 0.0}, StopReason.TARGET),
    ],
)
def test_targets_go_on_when_the_limit_that_ended_them_is_raised(store, before, after, reason):
    live = begin(store, spec(queries=80, **before))
    while live.study.state.active:
        step(live)
    assert live.study.stop_reason is reason
    rows = live.study.search_rows
    live.extend(Budget(queries_per_target=90, **before))
    assert live.study.state is StudyState.SUCCEEDED  # this limit ends them again
    live.extend(Budget(queries_per_target=90, **after))
    assert live.study.state is StudyState.PENDING
    while live.study.state.active:
        step(live)
    assert live.study.search_rows > rows
    assert live.study.stop_reason is StopReason.BUDGET
    assert reports.load(store, "s").fingerprint() == live.study.fingerprint()


@pytest.mark.parametrize("limit", ["queries_per_target", "seconds", "patience", "target_score"])
def test_a_budget_cannot_shrink(store, limit):
    live = begin(store, spec(seconds=60.0, patience=9, target_score=0.0))
    smaller = Budget(queries_per_target=40, seconds=60.0, patience=9, target_score=0.0)
    smaller = msgspec.structs.replace(smaller, **{limit: -1.0 if limit == "target_score" else 5})
    with pytest.raises(InvalidSpec, match=f"{limit} can only be raised"):
        live.extend(smaller)


def test_a_limit_may_be_added(store):
    live = begin(store)
    live.extend(Budget(queries_per_target=90, patience=3))
    assert live.study.budget.patience == 3


def test_a_finished_target_drops_out_and_the_others_do_not_notice(closes, store):
    live = begin(store, spec(queries=200, targets=4, target_score=-0.05))
    while live.study.state.active:
        step(live)
    alone = [t.queries for t in live.study.targets]
    assert {t.stop_reason for t in live.study.targets} == {StopReason.TARGET}
    assert len(set(alone)) > 1, "they should finish at different times"
    endless = begin(closes(SQLStore(":memory:")), spec(queries=200, targets=4))
    while endless.study.state.active:
        step(endless)
    scores = {g.generation: g for g in reports.generations(endless.store, "s")}
    for generation in reports.generations(store, "s"):
        for place, target in enumerate(generation.targets):
            same = scores[generation.generation].scores[target]
            assert np.array_equal(generation.scores[place], same)


def test_time_is_a_budget(store):
    now = [0.0]
    live = begin(store, spec(queries=1000, seconds=5.0), clock=lambda: now[0])
    while live.study.state.active:
        live.generation()
        now[0] += 2.0
        step(live)
    assert live.study.stop_reason is StopReason.TIME
    assert live.study.generation == 3


def test_recovery_from_a_snapshot_equals_recovery_from_the_start(store):
    budget = 10 * (SNAPSHOT_GENERATIONS + 7)
    live = begin(store, spec(queries=budget))
    for _ in range(SNAPSHOT_GENERATIONS + 3):
        step(live)
    assert store.load_snapshot("s").generation == SNAPSHOT_GENERATIONS
    recovered = LiveStudy.recover(store, "s")
    assert torch.equal(recovered.generation().latents, live.generation().latents)
    last = decode(store.read("s")[-1].body)
    assert last == Resumed(SNAPSHOT_GENERATIONS + 3, True)


def test_a_snapshot_newer_than_its_journal_is_not_trusted(store, caplog):
    budget = 10 * (SNAPSHOT_GENERATIONS + 7)
    live = begin(store, spec(queries=budget))
    for _ in range(SNAPSHOT_GENERATIONS + 3):
        step(live)
    kept = store.load_snapshot("s")
    last = store.find("s").sequence
    with store._database.writing() as connection:
        later = dataclasses.replace(kept, sequence=last + 9)
        journal.write_snapshot(connection, "s", later)
    recovered = LiveStudy.recover(store, "s")
    assert f"no event {last + 9}, and its snapshot was written after" in caplog.text
    assert torch.equal(recovered.generation().latents, live.generation().latents)


def test_a_journal_that_lost_its_end_is_told_and_not_measured_again(store):
    live = begin(store)
    for _ in range(3):
        step(live)
    last = store.find("s").sequence
    with store._database.writing() as connection:
        connection.execute(journal.events.delete().where(journal.events.c.sequence == last))
    with pytest.raises(StoreCorrupt, match=f"has no event {last}, and its index entry"):
        LiveStudy.recover(store, "s")


def test_latents_that_come_out_different_are_said_so(store, monkeypatch):
    live = begin(store)
    step(live)
    step(live)
    monkeypatch.setattr("blackbox_am.studies.search.checksum", lambda a: b"other")
    recovered = LiveStudy.recover(store, "s")
    last = decode(store.read("s")[-1].body)
    assert isinstance(last, Resumed)
    assert not last.exact
    assert "could not be reproduced" in last.message
    step(recovered)
    assert recovered.study.generation == 3


def test_keeping_all_latents_recovers_even_then(store, monkeypatch):
    import msgspec

    live = begin(store, msgspec.structs.replace(spec(), keep_latents="all"))
    step(live)
    step(live)
    expected = live.generation().latents
    monkeypatch.setattr("blackbox_am.studies.search.checksum", lambda a: b"other")
    assert torch.equal(LiveStudy.recover(store, "s").generation().latents, expected)


def test_a_failed_row_is_data_and_an_infinity_is_refused(store):
    live = begin(store)
    _generation, keys, _ = live.take(3, 10)
    targets, rows = np.array([t for t, _ in keys]), np.array([r for _, r in keys])
    with pytest.raises(InvalidInput, match="infinity"):
        live.tell(0, targets, rows, np.array([[1], [np.inf], [2]], np.float32))
    told = live.tell(0, targets, rows, np.array([[1], [np.nan], [2]], np.float32))
    assert told.accepted == 3


@pytest.mark.parametrize(
    ("generation", "target", "row"), [(1, 0, 0), (0, 2, 0), (0, 0, 10), (0, -1, 0), (0, 0, -1)]
)
def test_a_candidate_that_was_never_proposed_is_refused(store, generation, target, row):
    live = begin(store)
    with pytest.raises(InvalidInput, match="never"):
        live.tell(generation, np.array([target]), np.array([row]), np.zeros((1, 1), np.float32))


def test_wrong_shapes_and_dtypes_are_refused(store):
    live = begin(store)
    one = np.array([0])
    with pytest.raises(ShapeMismatch, match=r"expected shape \(1, 1\), got \(1, 2\)"):
        live.tell(0, one, one, np.zeros((1, 2), np.float32))
    with pytest.raises(ShapeMismatch, match="float32 or float64, got int64"):
        live.tell(0, one, one, np.zeros((1, 1), np.int64))


def test_a_cancelled_study_takes_nothing_more(store):
    live = begin(store)
    live.cancel()
    live.cancel()
    with pytest.raises(StudyClosed):
        live.tell(0, np.array([0]), np.array([0]), np.zeros((1, 1), np.float32))
    with pytest.raises(StudyClosed):
        live.pause()
    with pytest.raises(StudyClosed):
        live.extend(Budget(queries_per_target=100))


def test_leases_hold_candidates_until_they_run_out(store):
    now = [0.0]
    live = begin(store, clock=lambda: now[0])
    _, first, lease = live.take(15, 10.0)
    _, second, _ = live.take(100, 10.0)
    assert len(first) == 15
    assert len(second) == 5
    assert not set(first) & set(second)
    now[0] = 9.0
    assert live.leases.renew(lease, 10.0) == 15
    now[0] = 11.0
    assert sorted(live.take(100, 1.0)[1]) == sorted(second)


def test_gradients_are_refused_where_there_are_none(store):
    with pytest.raises(GradientUnavailable, match="ask and tell bring none"):
        resolve(Request(spec=spec(optimizer="adam")))


def test_an_optimizer_that_cannot_search_a_space_says_so():
    import msgspec

    codes = msgspec.structs.replace(spec(), space=SpaceSpec("categorical", 4, categories=8))
    with pytest.raises(Unsupported, match="cma cannot search a categorical space"):
        resolve(Request(spec=codes))


def test_selecting_and_merging_states_are_inverse(store):
    live = begin(store, spec(targets=4))
    step(live)
    state = live.search._state
    keep = torch.tensor([1, 3])
    before = {name: tensor.clone() for name, tensor in states.arrays(state).items()}
    merged = states.merge(state, keep, states.select(state, keep))
    assert all(torch.equal(t, before[n]) for n, t in states.arrays(merged).items())


def test_roles_of_rows_that_clients_were_given_survive_a_restart(store):
    start = StartSpec(latents=ArrayData.of(np.zeros((2, 4), np.float32)))
    live = begin(store, msgspec.structs.replace(spec(), start=start))
    roles = live.generation().roles
    assert roles is not None
    live.take(4, 60.0)
    again = LiveStudy.recover(store, "s")
    assert np.array_equal(again.generation().roles, roles)
    step(again)
    spent = again.study.spent
    assert (spent.initialisation_rows, spent.loss_rows) == (2, 18)  # a start for each target
