"""Sobol indices against their analytic values, groups, latents, and pruning."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from blackbox_am.analysis.sensitivity import prune, sobol, sobol_latents
from blackbox_am.analysis.sensitivity.indices import design, indices
from blackbox_am.catalogue import Catalogue
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.sklearn import Sklearn
from tests.analysis.models import Counted

S1 = np.array([0.3139, 0.4424, 0.0])
ST = np.array([0.5576, 0.4424, 0.2437])
"""Ishigami's function with a = 7 and b = 0.1 (Saltelli et al., Global Sensitivity Analysis)."""


def ishigami() -> Counted:
    def answer(x):
        a, b, c = ((2 * x.double() - 1) * math.pi).unbind(1)
        return (a.sin() + 7 * b.sin() ** 2 + 0.1 * c**4 * a.sin())[:, None]

    return Counted(answer)


def test_ishigamis_indices_are_within_3_hundredths():
    model = ishigami()
    found = sobol(model.oracle(3), "scores:0", samples=4096)
    assert found.indices.first == pytest.approx(S1, abs=0.03)
    assert found.indices.total == pytest.approx(ST, abs=0.03)
    assert found.spent.rows == model.rows
    assert model.rows == 5 * 4096 + 1  # and the row that describes the function
    assert found.notes == ()


def test_too_few_samples_are_said_and_nothing_is_made_of_them():
    few = sobol(ishigami().oracle(3), "scores:0", samples=4)
    assert "Give more samples for the numbers" in few.notes[0]
    assert "interactions" not in " ".join(few.lead())
    plan = design(["a", "b"], 4, 0)
    answers = np.random.default_rng(0).standard_cauchy(len(plan.rows))
    assert "neither the numbers nor the order" in indices(plan, answers, 0).notes[0]
    enough = sobol(ishigami().oracle(3), "scores:0", samples=4096)
    assert "Alone, the inputs explain 7" in enough.lead()[1]


def test_groups_have_one_index():
    found = sobol(
        ishigami().oracle(3), "scores:0", groups=["odd", "even", "odd"], samples=1024
    ).indices
    assert found.names == ("odd", "even")
    assert found.total == pytest.approx([0.5576, 0.4424], abs=0.05)
    assert found.first == pytest.approx([0.5576, 0.4424], abs=0.05)


def test_constant_answers_are_a_sentence():
    flat = Counted(lambda x: torch.ones(len(x), 1))
    found = sobol(flat.oracle(4), "scores:0", samples=8)
    assert not found.indices.total.any()
    assert found.lead() == list(found.notes)
    assert "no variance to divide" in found.notes[0]
    assert "nan" not in found.page()


def test_small_activations_are_not_taken_for_constant():
    weights = torch.tensor([1.0, 2.0, 0.0])
    large, small = (
        sobol(
            Counted(lambda x, s=scale: s * (x * weights).sum(1, keepdim=True)).oracle(3),
            "scores:0",
            samples=64,
        ).indices
        for scale in (1.0, 1e-9)
    )
    assert small.total == pytest.approx(large.total, abs=1e-5)
    assert small.first == pytest.approx(large.first, abs=1e-5)


def test_latents_of_a_generator():
    generator = Pixels((1, 2, 2))
    model = Counted(lambda x: 3 * x[:, 0, 0, :1] + x[:, 0, 1, 1:])
    found = sobol_latents(model.oracle(1, 2, 2), "scores:0", generator, samples=256)
    assert np.argsort(-found.indices.total)[:2].tolist() == [0, 3]
    assert found.indices.total[1:3] == pytest.approx([0, 0], abs=1e-6)


def test_a_space_of_codes_is_refused():
    catalogue = Catalogue.default()
    with pytest.raises(Unsupported, match="need independent numbers"):
        sobol_latents(
            catalogue.oracle("cifar_cnn"), "head:0", catalogue.generator("cifar_vq_codes")
        )


def test_inputs_of_low_index_can_be_fixed_and_others_cannot(tmp_path):
    rows = np.random.default_rng(0).random((400, 6)).astype(np.float32)
    classes = (rows[:, 1] + rows[:, 4] > 1).astype(int)
    fitted = LogisticRegression(C=100).fit(rows[:200], classes[:200])
    oracle = Sklearn(fitted, (6,))
    names = [f"f{i}" for i in range(6)]
    found = sobol(oracle, "predict_proba:1", names=names, samples=256)
    report = prune(oracle, "predict_proba", found.indices, rows[200:], classes[200:])
    assert report.measure == "accuracy"
    assert set(report.steps[4].fixed) == {"f0", "f2", "f3", "f5"}
    assert report.steps[4].score >= report.steps[0].score - 0.02
    assert report.steps[5].score < report.steps[0].score - 0.1
    whole = found.with_pruning(report)
    assert whole.spent.rows == found.spent.rows + report.spent.rows
    assert "With the 4 inputs of lowest total index" in whole.save(tmp_path).read_text("utf-8")


def test_answers_that_are_no_classes_or_have_no_variance_are_refused():
    two, one = (Counted(lambda x, n=n: x[:, :n]) for n in (2, 1))
    rows = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    found = sobol(two.oracle(3), "scores:0", samples=16).indices
    for answers in (np.full(20, "cat"), np.full(20, 2), np.full(20, 0.5)):
        with pytest.raises(InvalidSpec, match="answers: expected a whole number from 0 to 1"):
            prune(two.oracle(3), "scores", found, rows, answers)
    with pytest.raises(InvalidSpec, match="answers: expected 20 numbers that are not all equal"):
        prune(one.oracle(3), "scores", found, rows, np.ones(20))
    oracle = one.oracle(3)
    before = one.rows
    assert prune(oracle, "scores", found, rows, np.arange(20)).spent.rows == one.rows - before


def test_what_is_wrong_is_said():
    oracle = ishigami().oracle(3)
    with pytest.raises(InvalidSpec, match="samples: expected a power of 2"):
        sobol(oracle, "scores:0", samples=100)
    with pytest.raises(InvalidSpec, match="names: expected one for each of 3 inputs, got 2"):
        sobol(oracle, "scores:0", names=["a", "b"])
    with pytest.raises(InvalidSpec, match="a different name for each input"):
        sobol(oracle, "scores:0", names=["a", "b", "a"])
    with pytest.raises(InvalidSpec, match="two groups or more"):
        sobol(oracle, "scores:0", groups=["a", "a", "a"])
    with pytest.raises(InvalidSpec, match="low < high"):
        sobol(oracle, "scores:0", low=[0, 0.5, 0], high=[1, 0.5, 1])
    wide = Counted(lambda x: x.flatten(1)[:, :1]).oracle(3, 64, 64)
    with pytest.raises(InvalidSpec, match=r"use sobol_cells"):
        sobol(wide, "scores:0")
