"""Attacks in this process: every success is real, every row is on the bill."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.report.audit import audit, flags_of
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.core.capability import FORWARD
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import (
    GradientUnavailable,
    InvalidInput,
    ShapeMismatch,
    StudyExists,
    Unsupported,
)
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.delivery.quota import Quota

from .conftest import CLASSES, SHAPE, Counting, answers, network


def outcomes(result: AttackResult) -> Counter[str]:
    return Counter(one.outcome.value for one in result.inputs)


def check(result: AttackResult, images: np.ndarray) -> None:
    """Every success fools the model as it is stored, within the ball."""
    stored = result.adversarial
    assert stored.dtype == images.dtype
    labels = answers(stored).argmax(1)
    for one in result.of(Outcome.SUCCESS):
        assert one.verified
        assert labels[one.index] == one.adversarial_label != one.label
        change = stored[one.index].astype(int) - images[one.index].astype(int)
        assert np.abs(change).max() <= np.floor(result.eps * 255 + 1e-9)
        assert one.distances["linf"] == np.abs(change).max() / 255


def test_successes_are_real_and_cost_what_they_cost(images):
    oracle = Counting()
    result = attack(oracle=oracle, images=images, eps=8 / 255, budget=100)
    assert result.attack == "signhunter"
    assert outcomes(result)["success"] >= 8
    check(result, images)
    spent = result.spent
    assert spent.rows == sum(oracle.served)
    queries = sum(one.queries for one in result.inputs)
    assert spent.rows == queries + spent.rows_apart
    assert spent.clean_rows == 12
    assert spent.verify_rows == 12
    assert spent.probe_rows == spent.rows - queries - 24 - spent.surplus_rows


@pytest.mark.parametrize(
    "method",
    [
        "simba",
        "hopskipjump",
        pytest.param("square", marks=pytest.mark.slow),
        pytest.param("sep_cma", marks=pytest.mark.slow),
    ],
)
def test_an_input_is_attacked_alone_as_in_company(images, method):
    together = attack(oracle=Counting(), images=images, method=method, budget=60, seed=2)
    for index in (0, 5):
        alone = attack(oracle=Counting(), images=images[[index]], method=method, budget=60, seed=2)
        same = together.inputs[index]
        assert alone.inputs[0].clean_label == same.clean_label
        assert alone.inputs[0].queries == same.queries
        assert np.array_equal(alone.adversarial[0], together.adversarial[index])


def test_wrong_answers_to_clean_inputs_are_skipped_and_cost_one_row(images):
    labels = answers(images).argmax(1)
    labels[[2, 7]] = (labels[[2, 7]] + 1) % CLASSES
    result = attack(oracle=Counting(), images=images, labels=labels, budget=50)
    assert [one.index for one in result.of(Outcome.SKIPPED)] == [2, 7]
    assert all(one.queries == 0 for one in result.of(Outcome.SKIPPED))
    assert "another class" in result.inputs[2].message
    assert np.array_equal(result.adversarial[2], images[2])


def test_a_result_has_the_answers_that_its_report_shows(images):
    result = attack(oracle=Counting(), images=images, eps=1 / 255, budget=5)
    assert result.own_labels
    assert result.scores is not None
    assert np.allclose(result.scores, answers(images), atol=1e-5)
    failed = result.of(Outcome.FAILED)
    assert failed
    fresh = answers(np.stack([result.adversarial[one.index] for one in failed]))
    assert [one.adversarial_label for one in failed] == fresh.argmax(1).tolist()
    labelled = attack(oracle=Counting(), images=images, labels=answers(images).argmax(1), budget=1)
    assert not labelled.own_labels


def test_backward_rows_are_accounted_apart(images, model):
    result = attack(oracle=model, images=images, method="pgd", eps=8 / 255, budget=20)
    spent, queries = result.spent, sum(one.queries for one in result.inputs)
    assert outcomes(result)["success"] >= 8
    assert queries <= spent.backward_rows < spent.rows
    assert attack(oracle=model, images=images, budget=20).spent.backward_rows == 0


@pytest.mark.parametrize("rule", ["next", pytest.param("least-likely", marks=pytest.mark.slow), 3])
def test_a_targeted_attack_ends_at_the_wanted_class(images, rule):
    scores = answers(images)
    labels = scores.argmax(1)
    wanted = {"next": (labels + 1) % CLASSES, "least-likely": scores.argmin(1)}.get(rule)
    if rule == 3:
        images = images[labels != 3]
        labels, wanted = labels[labels != 3], np.full((labels != 3).sum(), 3)
    result = attack(oracle=Counting(), images=images, targets=rule, eps=32 / 255, budget=300)
    assert [one.target for one in result.inputs] == list(wanted)
    found = result.of(Outcome.SUCCESS)
    assert len(found) >= len(images) // 2
    assert all(one.adversarial_label == one.target for one in found)
    check(result, images)


def test_a_sparse_attack_changes_few_places(images):
    result = attack(oracle=Counting(), images=images, norm="l0", eps=5, budget=60)
    assert result.attack == "sparse_rs"
    assert outcomes(result)["success"] >= 4
    for one in result.attacked:
        changed = (result.adversarial[one.index] != images[one.index]).any(0).sum()
        assert changed == one.distances["l0"] <= 5


def test_a_patch_is_one_square_of_each_picture(images):
    result = attack(oracle=Counting(), images=images, norm="l0", eps=11, budget=60, method="patch")
    assert outcomes(result)["success"] >= 4
    for one in result.attacked:
        changed = (result.adversarial[one.index] != images[one.index]).any(0)
        rows, columns = np.nonzero(changed)
        assert changed.sum() == one.distances["l0"] <= 9
        assert rows.max() - rows.min() < 3
        assert columns.max() - columns.min() < 3


@settings(max_examples=6, deadline=None)
@given(
    st.integers(0, 5),
    st.sampled_from(
        [("linf", 1 / 255), ("linf", 3 / 255), ("linf", 0.1), ("l2", 0.3), ("l2", 2.0)]
    ),
    st.booleans(),
)
def test_no_success_lies_outside_the_ball(seed, ball, pictures):
    norm, eps = ball
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, *SHAPE), np.uint8)
    given = images if pictures else rng.random((4, *SHAPE), np.float32)
    model = TorchModule(network(seed), stimulus_shape=SHAPE)
    result = attack(oracle=model, images=given, norm=norm, eps=eps, budget=25, seed=seed)
    for one in result.attacked:
        change = result.adversarial[one.index].astype(np.float64) - result.clean[one.index]
        if pictures:
            change = change / 255
        size = np.abs(change).max() if norm == "linf" else np.sqrt((change**2).sum())
        assert size <= eps * (1 + 1e-6)
        assert one.distances[norm] == pytest.approx(size)
    assert result.adversarial.max() <= (255 if pictures else 1)
    assert result.adversarial.min() >= 0


@dataclass(frozen=True)
class WithoutGradients(Counting):
    kind: ClassVar[str] = "without_gradients"

    def describe(self):
        return replace(self.inner.describe(), capabilities=FORWARD)


@dataclass(frozen=True)
class Certified(Oracle):
    """Answers by the mean brightness, so that a small change provably changes nothing."""

    kind: ClassVar[str] = "certified"

    def describe(self):
        return TorchModule(network(), stimulus_shape=SHAPE).describe()

    def observe(self, stimuli, units):
        bright = stimuli.flatten(1).mean(1)
        table = torch.stack([bright - 0.5, 0.5 - bright, bright * 0 - 1, bright * 0 - 1], 1)
        return table[:, [unit.index for unit in units]]


@pytest.mark.parametrize(
    "method",
    [
        "signhunter",
        "rays",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("square", "nes", "sep_cma", "pgd", "hopskipjump")
        ),
    ],
)
def test_a_provably_robust_model_is_never_fooled(method):
    images = np.full((4, *SHAPE), 200, np.uint8)
    images[2:] = 40
    result = attack(oracle=Certified(), images=images, method=method, eps=8 / 255, budget=80)
    assert outcomes(result) == {"failed": 4}
    assert [one.queries for one in result.inputs] == [80] * 4


class Noisy(torch.nn.Module):
    """A classifier whose answers are random near the boundary."""

    def forward(self, x):
        scores = torch.randn(len(x), CLASSES) * 0.05
        scores[:, 0] += 0.1
        return scores


def test_a_success_that_does_not_repeat_is_no_success(images):
    torch.manual_seed(0)
    result = attack(oracle=TorchModule(Noisy(), stimulus_shape=SHAPE), images=images, budget=30)
    unrepeated = [one for one in result.inputs if one.verified is False]
    assert unrepeated, "no success failed to repeat in this seed"
    assert all(one.outcome is Outcome.FAILED for one in unrepeated)
    assert "not again" in unrepeated[0].message
    assert result.warnings, "nothing says that the answers are random"


def test_an_attack_whose_quota_ends_is_partial_and_goes_on(images, tmp_path: Path):
    wanted = {"images": images, "budget": 60, "eps": 2 / 255, "store": tmp_path / "s.sqlite3"}
    whole = attack(oracle=Counting(), **{**wanted, "store": ":memory:"})
    oracle = Counting()
    quota = Quota(oracle, rows=60)
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
def test_a_quota_below_the_number_of_inputs_is_not_paid_in_vain(images, tmp_path: Path):
    wanted = {"images": images, "budget": 20, "eps": 8 / 255}
    whole = attack(oracle=Counting(), **wanted)
    oracle, store = Counting(), tmp_path / "s.sqlite3"
    complete = []
    while not any(complete) and len(complete) < 100:
        result = attack(oracle=Quota(oracle, rows=5), store=store, **wanted)
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


@dataclass(frozen=True)
class Blind(Counting):
    """Has no finite answer to bright inputs."""

    kind: ClassVar[str] = "blind"

    def observe(self, stimuli, units):
        found = super().observe(stimuli, units)
        found[stimuli.flatten(1).mean(1) > 0.6] = torch.nan
        return found


def test_an_input_without_a_finite_answer_is_an_error_and_the_rest_goes_on(images):
    images[4] = 250
    result = attack(oracle=Blind(), images=images, budget=30)
    assert [one.index for one in result.of(Outcome.ERROR)] == [4]
    assert "no finite answer" in result.inputs[4].message
    assert len(result.attacked) == 11


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"eps": 0.0}, InvalidInput, "clean accuracy is the answer"),
        ({"eps": -0.1}, InvalidInput, "above 0"),
        ({"eps": 8}, InvalidInput, "8/255"),
        ({"norm": "l3"}, InvalidInput, "linf, l2, l0"),
        ({"budget": 0}, InvalidInput, "1 row or more"),
        ({"labels": [0, 1]}, InvalidInput, "expected 12, one for each input, got 2"),
        ({"labels": [9] * 12}, InvalidInput, "from 0 to 3, got 9"),
        ({"labels": ["cat"] * 12}, InvalidInput, "number of a class"),
        ({"targets": "nest"}, InvalidInput, "number of a class"),
        ({"method": "square", "norm": "l0", "eps": 3}, InvalidInput, "square searches linf and l2"),
        ({"layer": "haed"}, InvalidInput, "no layer 'haed'"),
        ({"images": np.zeros((2, 3, 8, 9), np.uint8)}, ShapeMismatch, r"3, 8, 8"),
        ({"images": np.full((2, *SHAPE), 2.0)}, InvalidInput, "divide by 255"),
        ({"images": np.full((2, *SHAPE), np.nan)}, InvalidInput, "nan"),
        ({"method": "sqare"}, InvalidInput, "square"),
    ],
)
def test_a_bad_request_says_what_was_expected(images, changes, error, message):
    oracle = Counting()
    with pytest.raises(error, match=message):
        attack(**{"oracle": oracle, "images": images, **changes})
    assert sum(oracle.served) <= 24, "an attack began"


def test_a_wanted_class_that_is_the_true_class_is_named(images):
    labels = answers(images).argmax(1)
    targets = (labels + 1) % CLASSES
    targets[3] = labels[3]
    with pytest.raises(InvalidInput, match="the wanted class of 3 is its true class"):
        attack(oracle=Counting(), images=images, targets=targets)


@dataclass(frozen=True)
class LabelsOnly(Counting):
    """Tells 1 for the predicted class and 0 for the others."""

    kind: ClassVar[str] = "labels_only"

    def observe(self, stimuli, units):
        scores = super().observe(stimuli, units)
        return torch.nn.functional.one_hot(scores.argmax(1), CLASSES).float()


def test_scores_asked_of_labels_are_refused_and_auto_finds_an_attack(images):
    with pytest.raises(Unsupported, match="rays"):
        attack(oracle=LabelsOnly(), images=images, method="square")
    result = attack(oracle=LabelsOnly(), images=images, eps=16 / 255, budget=200)
    assert result.attack == "rays"
    assert outcomes(result)["success"] >= 6
    check(result, images)


def test_a_targeted_attack_on_labels_begins_at_inputs_of_the_wanted_class(images):
    labels = answers(images).argmax(1)
    wanted = np.where(labels == labels[0], labels[labels != labels[0]][0], labels[0])
    result = attack(oracle=LabelsOnly(), images=images, targets=wanted, eps=40 / 255, budget=300)
    assert outcomes(result)["success"] >= 4
    assert all(one.adversarial_label == one.target for one in result.of(Outcome.SUCCESS))
    check(result, images)
    absent = next(label for label in range(CLASSES + 1) if label not in labels)
    if absent < CLASSES:
        with pytest.raises(InvalidInput, match="no input of class"):
            attack(oracle=LabelsOnly(), images=images, targets=absent)


def test_an_ensemble_attacks_what_is_left(images):
    wanted = {"images": images, "eps": 12 / 255, "budget": 8}
    oracle = Counting()
    first = attack(oracle=Counting(), method="random", **wanted)
    both = attack(oracle=oracle, method=["random", "square"], **wanted)
    left = [one.index for one in first.of(Outcome.FAILED)]
    assert left
    assert both.attack == "random + square"
    assert both.budget == 16
    for before, after in zip(first.inputs, both.inputs, strict=True):
        if before.index in left:
            assert after.queries > before.queries == 8
        else:
            assert after == before
    assert len(both.of(Outcome.SUCCESS)) > len(first.of(Outcome.SUCCESS))
    check(both, images)
    spent = both.spent
    assert spent.rows == sum(oracle.served)
    assert spent.clean_rows == 12
    assert spent.rows == sum(one.queries for one in both.inputs) + spent.rows_apart


@pytest.mark.slow
def test_a_surrogate_saves_rows_and_costs_the_model_none(images, model):
    oracle = Counting()
    plain = attack(oracle=Counting(), images=images, eps=3 / 255, budget=200)
    helped = attack(oracle=oracle, images=images, eps=3 / 255, budget=200, surrogate=model)
    assert helped.spent.rows == sum(oracle.served)
    found = helped.of(Outcome.SUCCESS)
    assert len(found) >= len(plain.of(Outcome.SUCCESS)) > 3
    assert [one.queries for one in found] == [1] * len(found)
    assert max(one.queries for one in plain.of(Outcome.SUCCESS)) > 1
    check(helped, images)


def test_a_surrogate_is_refused_where_a_search_cannot_begin_there(images, model):
    with pytest.raises(InvalidInput, match="rays does not begin at changes"):
        attack(oracle=Counting(), images=images, method="rays", surrogate=model)
    closed = WithoutGradients()
    with pytest.raises(GradientUnavailable):
        attack(oracle=Counting(), images=images, surrogate=closed)


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


def test_a_quota_that_ends_before_the_verification_refutes_nothing(images, tmp_path: Path):
    wanted = {"images": images, "eps": 12 / 255, "budget": 60, "store": tmp_path / "s.sqlite3"}
    whole = attack(oracle=Counting(), **{**wanted, "store": ":memory:"})
    repeats = 4 * 12 + 4  # the test of repeatability comes last
    left = whole.spent.rows - repeats - whole.spent.verify_rows - 2
    part = attack(oracle=Quota(Counting(), rows=left), **wanted)
    assert not part.complete
    assert not part.of(Outcome.SUCCESS)
    assert all(one.verified is None for one in part.inputs)
    assert outcomes(part)["unfinished"]
    done = attack(oracle=Counting(), **wanted)
    assert [one.outcome for one in done.inputs] == [one.outcome for one in whole.inputs]


def test_inputs_that_a_quota_left_unmeasured_are_unfinished(images):
    part = attack(oracle=Quota(Counting(), rows=8), images=images)
    assert outcomes(part) == {"unfinished": 12}


def test_one_wanted_class_leaves_out_inputs_of_this_class(images):
    labels = answers(images).argmax(1)
    wanted = int(labels[0])
    result = attack(oracle=Counting(), images=images, targets=np.int64(wanted), budget=20)
    for one, label in zip(result.inputs, labels, strict=True):
        assert (one.outcome is Outcome.SKIPPED) == (label == wanted)


def test_a_single_score_is_no_class(images):
    class Sigmoid(torch.nn.Module):
        def forward(self, x):
            return torch.sigmoid(network()(x)[:, :1])

    oracle = TorchModule(Sigmoid(), stimulus_shape=SHAPE)
    with pytest.raises(InvalidInput, match="number of the predicted class"):
        attack(oracle=oracle, images=images, layer="output")


def test_channels_last_are_refused():
    with pytest.raises(ShapeMismatch, match="channels last"):
        attack(oracle=lambda x: x, images=np.zeros((2, 8, 8, 3), np.uint8))


def test_the_features_of_a_table_stand_in_its_result(tmp_path):
    rows = np.random.default_rng(0).random((6, 3), np.float32)
    path = tmp_path / "rows.npz"
    np.savez(path, x=rows, features=["age", "height", "pulse"])
    torch.manual_seed(0)
    result = attack(oracle=torch.nn.Linear(3, 2), images=path, eps=0.1, budget=10)
    assert result.features == ("age", "height", "pulse")
