"""Studies leave the memory when nobody uses them, and come back as they were."""

import numpy as np
import pytest

from blackbox_am.core.spec import Budget, ObjectiveSpec, SpaceSpec, StudySpec
from blackbox_am.service import registry as registries
from blackbox_am.service.registry import StudyRegistry
from blackbox_am.stores import SQLStore
from blackbox_am.studies.resolving import Request, resolve


@pytest.fixture
def store(tmp_path):
    found = SQLStore(str(tmp_path / "s.sqlite3"))
    yield found
    found.close()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def registry(store, now):
    found = StudyRegistry(store, "cpu", clock=lambda: now[0])
    yield found
    found.close()


def begin(registry, study_id):
    spec = StudySpec(
        targets=(ObjectiveSpec("mean", ("u:0",)),),
        budget=Budget(queries_per_target=100),
        space=SpaceSpec("normal", 4),
    )
    registry.create(study_id, resolve(Request(spec=spec)).created)


def ask(live):
    generation, keys, _ = live.take(4, 3600.0)
    return generation.latents.numpy(), keys


def test_an_idle_study_leaves_and_comes_back_as_it_was(registry, store, now):
    begin(registry, "s")
    latents, first = registry.act("s", ask)
    assert store.leases.owner_name("s") != ""
    registry.rest_idle()
    assert store.leases.owner_name("s") != "", "it was used just now"
    now[0] += registries.IDLE_SECONDS + 1
    registry.rest_idle()
    assert store.leases.owner_name("s") == ""
    sequence = registry.published("s").progress.sequence
    again, second = registry.act("s", ask)
    np.testing.assert_array_equal(again, latents)
    assert not set(first) & set(second), "what a client holds stays held"
    assert registry.published("s").progress.sequence == sequence, "the journal tells nothing of it"


def test_the_least_recently_used_leave_first(registry, store, monkeypatch):
    for study_id in ("a", "b", "c"):
        begin(registry, study_id)
    registry.act("a", ask)
    monkeypatch.setattr(registries, "IDLE_BYTES", 3 * 2**16 - 1)
    registry.rest_idle()
    assert store.leases.owner_name("b") == "", "it was used least recently"
    assert store.leases.owner_name("a") != ""


def test_a_study_that_a_worker_runs_stays(registry, store, now):
    begin(registry, "s")
    with registry.running("s"):
        registry.live("s")
        now[0] += registries.IDLE_SECONDS + 1
        registry.rest_idle()
        assert store.leases.owner_name("s") != ""
    assert store.leases.owner_name("s") == ""
