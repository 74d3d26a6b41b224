"""Attacks that end early, go on, or are asked for again, and what they store."""

from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.report.audit import audit, flags_of
from blackbox_am.attacks.results import Outcome
from blackbox_am.errors import (
    StudyExists,
)
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from tests.attacks.outcomes import LabelsOnly, check, outcomes
from tests.closes import Closes

from .conftest import Counting, network


def test_an_attack_whose_quota_ends_is_partial_and_goes_on(closes: Closes, images, tmp_path: Path):
    wanted = {"images": images, "budget": 60, "eps": 2 / 255, "store": tmp_path / "s.sqlite3"}
    whole = attack(oracle=Counting(), **{**wanted, "store": ":memory:"})
    oracle = Counting()
    quota = closes(Quota(oracle, rows=60))
    part = attack(oracle=quota, **wanted)
    assert not part.complete
    assert outcomes(part)["unfinished"]
    assert any("quota" in text or "rows" in text for text in part.warnings)
    assert part.spent.rows == sum(oracle.served) <= 60
    done = attack(oracle=oracle, **wanted)
    assert done.complete
    assert [one.queries for one in done.inputs] == [one.queries for one in whole.inputs]
    assert np.array_equal(done.adversarial, whole.adversarial)
    assert (
        done.spent.rows - done.spent.retried_rows
        == sum(one.queries for one in done.inputs) + done.spent.rows_apart
    )


@pytest.mark.slow
def test_a_quota_below_the_number_of_inputs_is_not_paid_in_vain(
    closes: Closes, images, tmp_path: Path
):
    wanted = {"images": images, "budget": 20, "eps": 8 / 255}
    whole = attack(oracle=Counting(), **wanted)
    oracle, store = Counting(), tmp_path / "s.sqlite3"
    complete = []
    while not any(complete) and len(complete) < 100:
        result = attack(oracle=closes(Quota(oracle, rows=5)), store=store, **wanted)
        complete.append(result.complete)
    assert 10 < len(complete) < 100
    assert [one.queries for one in result.inputs] == [one.queries for one in whole.inputs]
    assert np.array_equal(result.adversarial, whole.adversarial)
    assert result.spent.rows == sum(oracle.served)
    # Only the probe of repeatability begins again where a quota ends in it.
    assert result.spent.retried_rows <= 6


def test_a_repeated_attack_asks_nothing_and_another_is_refused(images, tmp_path: Path):
    store = tmp_path / "s.sqlite3"
    first = attack(oracle=Counting(), images=images, budget=40, store=store)
    oracle = Counting()
    again = attack(oracle=oracle, images=images, budget=40, store=store)
    assert not oracle.served
    assert again.inputs == first.inputs
    with pytest.raises(StudyExists, match="radius"):
        attack(oracle=oracle, images=images, budget=40, eps=0.5, store=store)


def test_a_larger_budget_verifies_what_is_new(images, tmp_path: Path):
    wanted = {"images": images, "eps": 6 / 255, "store": tmp_path / "s.sqlite3"}
    small = attack(oracle=Counting(), budget=2, **wanted)
    large = attack(oracle=Counting(), budget=60, **wanted)
    whole = attack(oracle=Counting(), budget=60, **{**wanted, "store": ":memory:"})
    assert len(large.of(Outcome.SUCCESS)) > len(small.of(Outcome.SUCCESS))
    assert all(one.verified is not False for one in large.inputs)
    assert [one.outcome for one in large.inputs] == [one.outcome for one in whole.inputs]
    check(large, images)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_real_numbers_are_stored_as_they_were_measured(images, model, norm):
    eps = 4 / 255 if norm == "linf" else 0.5
    result = attack(oracle=model, images=images, bits=0, norm=norm, eps=eps, budget=60)
    assert result.adversarial.dtype == np.float32
    with torch.no_grad():
        told = network()(torch.from_numpy(result.adversarial)).argmax(1)
    found = result.of(Outcome.SUCCESS)
    assert found
    assert all(told[one.index] == one.adversarial_label for one in found)
    assert all(one.distances[norm] <= eps * (1 + 1e-6) for one in result.attacked)


def test_a_failure_of_an_attack_from_outside_stores_the_clean_input(images):
    result = attack(oracle=LabelsOnly(), images=images, eps=1 / 255, budget=60)
    failed = result.of(Outcome.FAILED)
    assert failed
    for one in failed:
        assert np.array_equal(result.adversarial[one.index], images[one.index])
    assert any("closest input that fools the model" in one.message for one in failed)
    assert not [flag for flag in flags_of(audit(result)) if flag.severe]


def test_a_quota_that_ends_before_the_verification_refutes_nothing(
    closes: Closes, images, tmp_path: Path
):
    wanted = {"images": images, "eps": 12 / 255, "budget": 60, "store": tmp_path / "s.sqlite3"}
    whole = attack(oracle=Counting(), **{**wanted, "store": ":memory:"})
    repeats = 4 * 12 + 4  # the test of repeatability comes last
    left = whole.spent.rows - repeats - whole.spent.verify_rows - 2
    part = attack(oracle=closes(Quota(Counting(), rows=left)), **wanted)
    assert not part.complete
    assert not part.of(Outcome.SUCCESS)
    assert all(one.verified is None for one in part.inputs)
    assert outcomes(part)["unfinished"]
    done = attack(oracle=Counting(), **wanted)
    assert [one.outcome for one in done.inputs] == [one.outcome for one in whole.inputs]


def test_inputs_that_a_quota_left_unmeasured_are_unfinished(closes: Closes, images):
    part = attack(oracle=closes(Quota(Counting(), rows=8)), images=images)
    assert outcomes(part) == {"unfinished": 12}
