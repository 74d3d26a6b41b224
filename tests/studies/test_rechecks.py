"""The best of a noisy search, measured again at its end."""

import math

import numpy as np
import pytest

from blackbox_am.core.spec import Budget, SpaceSpec
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.local import maximise
from blackbox_am.studies.rechecks import MOST_ROWS, recheck_of, recheck_rows

SPACE = SpaceSpec("normal", 192)
TARGETS = ["units:0", "units:3", "units:7"]


def search(**changes):
    wanted = {
        "oracle": Simulated(noise=0.5),
        "generator": Pixels((3, 8, 8)),
        "targets": TARGETS,
        "queries_per_target": 400,
        "device": "cpu",
    }
    return maximise(**{**wanted, **changes})


def truth(best):
    import torch

    stimuli = torch.from_numpy(np.stack([entry.stimulus for entry in best]))
    units = [Unit.parse(target) for target in TARGETS]
    return Simulated().observe(stimuli, units).numpy().diagonal()


def test_a_part_of_the_budget_is_kept_on_a_noisy_oracle_only():
    assert recheck_rows(Budget(1000), True, 3, SPACE) == 100
    assert recheck_rows(Budget(1000), False, 3, SPACE) == 0
    assert recheck_rows(Budget(1000, recheck_fraction=0.0), True, 3, SPACE) == 0
    assert recheck_rows(Budget(1000, recheck_fraction=0.05), False, 3, SPACE) == 50
    assert recheck_rows(Budget(30), True, 3, SPACE) == 0, "3 rows say nothing"
    assert recheck_rows(Budget(10**6), True, 3, SPACE) == MOST_ROWS
    assert recheck_rows(Budget(10**4), True, 1000, SpaceSpec("normal", 10**4)) < 10


def test_mean_and_standard_error_of_the_better_of_two():
    scores = np.array([1.0, 2.0, 3.0, 1.0, np.nan, 2.0])
    found = recheck_of(scores, 3)
    assert found.source == "centre"
    assert (found.centre.mean, found.centre.rows) == (2.0, 3)
    assert found.centre.standard_error == pytest.approx(1 / math.sqrt(3))
    assert (found.row.mean, found.row.rows) == (1.5, 2)
    assert found.best == found.centre
    assert recheck_of(scores[::-1], 3).source == "row"
    alone = recheck_of(scores[:3], 0)
    assert (alone.source, alone.centre) == ("row", None)
    failed = recheck_of(np.array([np.nan, np.nan, 1.0, 2.0]), 2)
    assert failed.source == "row"
    assert recheck_of(np.full(4, np.nan), 2) is None
    assert recheck_of(np.array([1.0, 2.0]), 1).centre.standard_error is None


def test_the_reported_best_is_the_measured_again_within_the_budget():
    result = search()
    spent = result.progress.spent
    assert spent.recheck_rows == 3 * 40
    assert spent.rows == 3 * 400, "within the budget"
    for target, best in zip(result.progress.targets, result.best, strict=True):
        assert (target.queries, target.recheck_rows) == (360, 40)
        assert target.recheck == best.recheck
        assert best.score == target.best_score == best.recheck.best.mean
        assert best.recheck.centre.rows == best.recheck.row.rows == 20
        assert best.candidate.generation == 9 or best.recheck.source == "row"
    scores = np.array([best.score for best in result.best])
    errors = np.array([best.recheck.best.standard_error for best in result.best])
    assert (abs(scores - truth(result.best)) < 4 * errors).all()
    luckiest = np.max([np.nanmax(one.scores, axis=1) for one in result.history], axis=0)
    assert (luckiest > 1.5 * scores).all(), "what a search without a re-check would report"


def test_a_search_without_a_centre_measures_its_row_again():
    result = search(optimizer="random")
    for best in result.best:
        assert best.recheck.source == "row"
        assert best.recheck.centre is None
        assert best.recheck.row.rows == 40


def test_a_deterministic_oracle_is_rechecked_on_request_only():
    plain = search(oracle=Simulated())
    assert [best.recheck for best in plain.best] == [None] * 3
    asked = search(oracle=Simulated(), recheck_fraction=0.1)
    for best in asked.best:
        assert best.recheck.row.standard_error == pytest.approx(0, abs=1e-9)
        assert best.score >= best.recheck.row.mean


def test_a_larger_budget_goes_on_and_checks_again(tmp_path):
    store = tmp_path / "s.sqlite3"
    first = search(store=store)
    second = search(store=store, queries_per_target=800)
    for before, after in zip(first.progress.targets, second.progress.targets, strict=True):
        assert after.recheck_rows == 40 + 80
        assert after.queries + after.recheck_rows == 800
        assert after.recheck != before.recheck
    assert second.progress.spent.rows == 3 * 800


def test_a_target_that_succeeded_keeps_its_row():
    from blackbox_am.core.spec import CriterionSpec

    reached = CriterionSpec("threshold", ("units:0",), {"at_least": 1.5})
    (best,) = (found := search(targets="units:0", criteria=[reached])).best
    (target,) = found.progress.targets
    assert target.stop_reason is StopReason.SUCCESS
    assert best.recheck is None
    assert best.score >= 1.5


def test_a_fraction_too_small_is_refused():
    with pytest.raises(InvalidSpec, match="at least 4") as found:
        search(recheck_fraction=0.005)
    assert found.value.field == "budget.recheck_fraction"


def test_the_next_study_starts_at_the_reported_best(tmp_path):
    store = tmp_path / "s.sqlite3"
    first = search(store=store, study_id="one", optimizer="snes")
    search(store=store, study_id="two", start="one", optimizer="snes", queries_per_target=40)
    opened = SQLStore(str(store))
    start = reports.load(opened, "two").created.start.numpy()
    assert np.array_equal(start, np.stack([best.latent for best in first.best]))
    assert first.progress.state is StudyState.SUCCEEDED
    opened.close()
