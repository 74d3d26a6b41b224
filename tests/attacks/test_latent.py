"""Attacks in the latent space of an autoencoder, and what a reference classifier makes of them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.reference import decoded
from blackbox_am.attacks.report import write_report
from blackbox_am.attacks.results import Outcome
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.zoo.loading import probe_images

from .conftest import CLASSES, Counting
from .conftest import answers as of_linear

PICTURES = probe_images()[0].transpose(0, 3, 1, 2)[[25, 45, 60]]


@dataclass(frozen=True)
class Logged(Oracle):
    """The shipped classifier, which logs its rows."""

    kind: ClassVar[str] = "logged"
    billable: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"rows", "inner"})
    rows: list[int] = field(default_factory=list)
    inner: Oracle = field(default_factory=lambda: Catalogue.default().oracle("cifar_cnn"))

    def describe(self):
        return self.inner.describe()

    def observe(self, stimuli, units):
        self.rows.append(len(stimuli))
        return self.inner.observe(stimuli, units)


def answers(stimuli: np.ndarray) -> np.ndarray:
    units = [Unit("head", index) for index in range(10)]
    with torch.no_grad():
        return Logged().inner.observe(torch.from_numpy(stimuli), units).argmax(1).numpy()


@pytest.mark.slow
def test_cma_fools_a_model_near_the_code_and_the_report_says_how_near(tmp_path: Path):
    oracle = Logged()
    result = attack(oracle=oracle, images=PICTURES, norm="latent", eps=8.0, budget=120)
    assert result.attack == "cma"
    assert np.allclose(result.clean, decoded(PICTURES, "zoo:cifar_vae"))
    assert [one.clean_label for one in result.inputs] == answers(result.clean).tolist()
    found = result.of(Outcome.SUCCESS)
    assert found
    for one in found:
        assert 0 < one.distances["latent"] <= 8.0
        assert answers(result.adversarial[[one.index]])[0] == one.adversarial_label != one.label
    spent = result.spent
    assert spent.rows == sum(oracle.rows) == spent.searched_rows + spent.rows_apart
    write_report([result], tmp_path)
    (summary,) = json.loads((tmp_path / "summary.json").read_text())["results"]
    assert summary["audit"]["outside"] == 0
    assert summary["audit"]["distances"]["latent"] <= 8.0
    assert "latent ≤ 8" in (tmp_path / "index.html").read_text()
    assert "latent" in (tmp_path / "rows.csv").read_text().splitlines()[0]


@pytest.mark.slow
def test_natural_adversary_finds_a_nearer_code_than_the_radius():
    wanted = {"images": PICTURES[:2], "norm": "latent", "eps": 8.0, "budget": 120, "repeats": 1}
    result = attack(oracle=Logged(), method="natural_adversary", **wanted)
    for one in result.of(Outcome.SUCCESS):
        assert one.distances["latent"] < 6.0


@pytest.mark.slow
def test_a_success_that_the_reference_sees_too_is_none():
    wanted = {"oracle": Logged(), "images": PICTURES, "norm": "latent", "eps": 8.0, "budget": 60}
    free = attack(**wanted, repeats=1)
    judged = attack(**wanted, repeats=1, reference="cifar_cnn")  # it is fooled as the model is
    assert free.of(Outcome.SUCCESS)
    assert not judged.of(Outcome.SUCCESS)
    for one in free.of(Outcome.SUCCESS):
        other = judged.inputs[one.index]
        assert other.outcome is Outcome.FAILED
        assert "cifar_cnn sees another class, too" in other.message
    assert judged.identity["reference"].endswith(
        f"in 0 of {len(free.of(Outcome.SUCCESS))} successes"
    )


class Nearest(torch.nn.Module):
    """Sees in a picture the class of the clean picture that is nearest."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        self.clean = torch.from_numpy(images).float() / 255
        self.labels = torch.from_numpy(labels)

    def forward(self, x):
        nearest = (x[:, None] - self.clean).flatten(2).norm(dim=2).argmin(1)
        return torch.nn.functional.one_hot(self.labels[nearest], CLASSES).float()


def test_a_success_counts_if_the_reference_sees_the_true_class(images):
    labels = of_linear(images).argmax(1)
    wanted = {"oracle": Counting(), "images": images, "budget": 20, "repeats": 1}
    free = attack(**wanted)
    kept = attack(**wanted, reference=Nearest(images, labels))
    assert [one.outcome for one in kept.inputs] == [one.outcome for one in free.inputs]
    many = len(free.of(Outcome.SUCCESS))
    assert kept.identity["reference"] == (
        f"Nearest, sees the true class in {many} of {many} successes"
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"eps": 0.0}, InvalidInput, "for latent above 0, such as 4"),
        ({"bits": 8}, InvalidInput, "leave bits out"),
        ({"method": "square"}, InvalidInput, "for latent use a general optimizer"),
        ({"method": "cma", "tiles": [4]}, InvalidInput, "does not search tiles in latent"),
        ({"images": np.zeros((2, 3, 8, 8), np.uint8)}, InvalidSpec, "3, 32, 32"),
    ],
)
def test_a_latent_attack_that_cannot_work_is_refused(changes, error, message):
    oracle = Logged()
    if "images" in changes:
        oracle = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))
    wanted = {"oracle": oracle, "images": PICTURES, "norm": "latent", "eps": 4.0, **changes}
    with pytest.raises(error, match=message):
        attack(**wanted)
