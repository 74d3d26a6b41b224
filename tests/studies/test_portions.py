"""A row of a billable oracle is paid once, whenever the quota ends or the oracle fails."""

from contextlib import closing
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import numpy as np
import pytest

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import StudyState
from blackbox_am.errors import OracleUnavailable, Unsupported
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.events import Resumed
from blackbox_am.studies.local import maximise
from blackbox_am.studies.search import Search
from blackbox_am.studies.shown import Models, shown
from blackbox_am.studies.stored import events_of, opened

UNITS = [f"units:{index}" for index in range(8)]


@dataclass(frozen=True)
class Priced(Oracle):
    """Fails in the call of number `fails_at`."""

    kind: ClassVar[str] = "priced"
    billable: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"served", "fails_at"})
    served: list[int] = field(default_factory=list)
    fails_at: int = 0

    def describe(self):
        return Simulated(batch_size=16).describe()

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        if len(self.served) == self.fails_at:
            raise OracleUnavailable("no answer")
        return Simulated(batch_size=16).observe(stimuli, units)


def search(oracle, store=":memory:", **changes):
    return maximise(
        oracle=oracle,
        generator=Pixels((3, 8, 8)),
        targets=UNITS,
        optimizer="snes",
        parameters={"population": 10},
        queries_per_target=30,
        recheck_fraction=0.0,
        device="cpu",
        store=store,
        study_id="s",
        **changes,
    )


@pytest.fixture(scope="module")
def whole():
    return search(Priced())


def balanced(spent) -> bool:
    """Whether the rows are the sum of the rows for each purpose and of the repeated rows."""
    apart = spent.rows_apart + spent.retried_rows - spent.cache_hits
    return spent.rows == spent.searched_rows + apart


def alike(one, other) -> bool:
    return all(
        np.array_equal(mine.latent, yours.latent) and mine.score == yours.score
        for mine, yours in zip(one.best, other.best, strict=True)
    )


def test_a_quota_that_ends_within_a_generation_is_spent_to_its_last_row(closes, tmp_path, whole):
    store, oracle = tmp_path / "s.sqlite3", Priced()
    for rows in (50, 95, 170):  # a generation has 80 rows, a call 16
        part = search(closes(Quota(oracle, rows=rows - sum(oracle.served))), store)
        assert part.progress.spent.rows == sum(oracle.served) == rows
        assert balanced(part.progress.spent)
    done = search(oracle, store)
    assert sum(oracle.served) == done.progress.spent.rows == whole.progress.spent.rows
    assert not done.progress.spent.retried_rows
    assert balanced(done.progress.spent)
    assert alike(done, whole)


def test_a_failure_costs_its_own_call(tmp_path, whole):
    store, oracle = tmp_path / "s.sqlite3", Priced(fails_at=5)
    with pytest.raises(OracleUnavailable):
        search(oracle, store)
    lost = oracle.served[4]
    done = search(oracle, store)
    spent = done.progress.spent
    assert spent.rows == sum(oracle.served) == whole.progress.spent.rows + lost
    assert (spent.retries, spent.retried_rows) == (1, lost)
    assert balanced(spent)
    assert alike(done, whole)


def begun(path, rows=50):
    """The study after `rows` rows, at the end of a quota."""
    with closing(Quota(Priced(), rows=rows)) as quota:
        search(quota, path)
    store = SQLStore(str(path))
    study = reports.load(store, "s")
    store.close()
    return study


def test_rows_of_candidates_that_cannot_be_proposed_again_are_forgotten(tmp_path):
    study = begun(tmp_path / "s.sqlite3")
    assert study.measured.told.any()
    study.apply(Resumed(study.generation, exact=True))
    assert study.measured.told.any()
    study.apply(Resumed(study.generation, exact=False))
    assert not study.measured.told.any()
    assert not study.measured.spent.rows


@pytest.mark.parametrize("rows", [50, 95])
def test_forgotten_rows_are_repeated_rows_and_no_rows_of_the_search(tmp_path, monkeypatch, rows):
    path, oracle = tmp_path / "s.sqlite3", Priced()
    told = begun(path, rows).measured.told.sum()
    # The optimizer proposes other latents now, as with another version of a library.
    propose = Search._propose
    monkeypatch.setattr(
        Search, "_propose", lambda search, study: (propose(search, study)[0] + 0.5, None, None)
    )
    done = search(oracle, path)
    spent = done.progress.spent
    assert spent.retried_rows == told
    assert spent.rows == rows + sum(oracle.served)
    assert balanced(spent)


def test_latents_of_an_open_generation_are_compared_with_their_checksum(tmp_path):
    told = begun(tmp_path / "s.sqlite3", 95).measured.told.sum()
    with opened(str(tmp_path / "s.sqlite3")) as store:
        events = list(events_of(store, "s"))
    *_, last = shown("s", events, Models())
    assert (last.generation, len(last)) == (1, told)
    (place,) = [i for i, e in enumerate(events) if getattr(e, "generation", 0) and e.checksum]
    events[place] = msgspec.structs.replace(events[place], checksum=bytes(16))
    with pytest.raises(Unsupported, match="other latents for generation 1 than were measured"):
        list(shown("s", events, Models()))
    events[place] = msgspec.structs.replace(events[place], checksum=b"")
    with pytest.raises(Unsupported, match="no checksum of generation 1"):
        list(shown("s", events, Models()))
    assert sum(map(len, shown("s", events, Models(), latents=False))) == 80 + told


def test_a_quota_below_the_rows_of_the_probe_pauses_and_goes_on(closes, tmp_path, whole):
    store, oracle = tmp_path / "s.sqlite3", Priced()
    for rows in (2, 4):  # the probe has two calls of two rows
        part = search(closes(Quota(oracle, rows=3)), store)
        assert part.progress.state is StudyState.PAUSED
        assert "the quota is used up" in part.progress.message
        assert "raise the quota to go on" in part.progress.message
        assert part.progress.spent.rows == sum(oracle.served)
        assert part.progress.spent.probe_rows == rows
        assert not part.progress.spent.retried_rows
    assert sum(oracle.served) == 5, "the third row of the second quota is one of the search"
    done = search(oracle, store)
    assert sum(oracle.served) == done.progress.spent.rows == whole.progress.spent.rows
    assert done.progress.spent.probe_rows == whole.progress.spent.probe_rows == 4
    assert alike(done, whole)


def test_a_quota_below_a_call_of_the_probe_spends_nothing_and_says_why(closes, tmp_path):
    store, oracle = tmp_path / "s.sqlite3", Priced()
    for _ in range(2):
        part = search(closes(Quota(oracle, rows=1)), store)
        assert part.progress.state is StudyState.PAUSED
        assert "0 of 1 rows were asked, and the next call has 2" in part.progress.message
        assert not oracle.served
