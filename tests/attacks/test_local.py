"""Attacks in this process: every success is real, every row is on the bill."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.results import Outcome
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import (
    InvalidInput,
)
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.attacks.outcomes import LabelsOnly, check, outcomes

from .conftest import CLASSES, SHAPE, Counting, answers, network


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


def test_one_wanted_class_leaves_out_inputs_of_this_class(images):
    labels = answers(images).argmax(1)
    wanted = int(labels[0])
    result = attack(oracle=Counting(), images=images, targets=np.int64(wanted), budget=20)
    for one, label in zip(result.inputs, labels, strict=True):
        assert (one.outcome is Outcome.SKIPPED) == (label == wanted)


def test_the_features_of_a_table_stand_in_its_result(tmp_path):
    rows = np.random.default_rng(0).random((6, 3), np.float32)
    path = tmp_path / "rows.npz"
    np.savez(path, x=rows, features=["age", "height", "pulse"])
    torch.manual_seed(0)
    result = attack(oracle=torch.nn.Linear(3, 2), images=path, eps=0.1, budget=10)
    assert result.features == ("age", "height", "pulse")
