"""Attacks through a study on a model that answers with a label and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import LayerInfo, OracleInfo, StopReason
from blackbox_am.criteria.misclassified import Misclassified
from blackbox_am.criteria.target_class import TargetClass
from blackbox_am.criteria.threshold import Threshold
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.objectives.label import Label
from blackbox_am.studies.local import Result, maximise

SHAPE, CLASSES, IMAGES = (2, 6, 6), 3, 4
ATTACKS: dict[str, tuple[str, dict[str, Any], str, float]] = {
    "rays": ("rays", {}, "linf", 0.12),
    "hopskipjump-linf": ("hopskipjump", {"probes": 20, "population": 16}, "linf", 0.08),
    "hopskipjump-l2": ("hopskipjump", {"probes": 20, "norm": "l2"}, "l2", 0.5),
}


@dataclass(frozen=True)
class Decider(Oracle):
    """A linear classifier that answers with the number of the class, and counts its rows."""

    kind: ClassVar[str] = "decider"
    billable: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"served"})

    served: list[int] = field(default_factory=list)

    def describe(self) -> OracleInfo:
        layer = LayerInfo("class", "scores", (1,), ("unit",))
        return OracleInfo(self.kind, Capability.SCORES, SHAPE, (layer,), batch_size=64)

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        return decided(stimuli).to(torch.float32)[:, None].expand(-1, len(units))


def decided(stimuli: torch.Tensor) -> torch.Tensor:
    weights = torch.randn(CLASSES, 72, generator=torch.Generator().manual_seed(4))
    return ((stimuli.flatten(1).double() - 0.5) @ weights.double().T).argmax(1)


@cache
def images() -> torch.Tensor:
    """Images of 8 bits, of classes 0, 0, 1 and 2."""
    drawn = torch.rand(200, *SHAPE, generator=torch.Generator().manual_seed(9))
    drawn = (drawn * 255).round() / 255
    return torch.cat([drawn[decided(drawn) == k][: 2 if k == 0 else 1] for k in range(CLASSES)])


def attack(
    name: str, rows: slice = slice(None), *, oracle: Oracle | None = None, **changes
) -> Result:
    optimizer, parameters, norm, eps = ATTACKS[name]
    clean = images()[rows]
    distance = f"stimulus.{norm}_distance"
    labels = decided(clean).tolist()
    near = Threshold((distance,), at_most=eps)
    wanted = {
        "oracle": oracle or Decider(),
        "generator": Perturbation(clean.numpy(), radius=1.0, squash=False, bits=8),
        "targets": [Label(("class:0", distance), label, closest=True) for label in labels],
        "criteria": [Misclassified(("class:0",), label) & near for label in labels],
        "optimizer": optimizer,
        "parameters": parameters,
        "queries_per_target": 1500,
        "device": "cpu",
    }
    return maximise(**{**wanted, **changes})


@cache
def whole(name: str) -> Result:
    return attack(name)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_image_is_changed_a_little_and_fools_the_model(name: str) -> None:
    oracle = Decider()
    result = attack(name, oracle=oracle)
    _, _, norm, eps = ATTACKS[name]
    assert [one.stop_reason for one in result.progress.targets] == [StopReason.SUCCESS] * IMAGES
    assert len({one.queries for one in result.progress.targets}) > 1, "all ended at once"
    for best, clean in zip(result.best, images(), strict=True):
        found = torch.from_numpy(np.asarray(best.stimulus))
        assert int(decided(found[None])) != int(decided(clean[None]))
        change = (found - clean).flatten()
        distance = float(change.abs().max() if norm == "linf" else change.norm())
        assert distance <= eps
        assert best.score == pytest.approx(1 / (1 + distance), rel=1e-4)
        assert torch.allclose(found * 255, (found * 255).round(), atol=1e-3)
    spent = result.progress.spent
    assert sum(oracle.served) == spent.rows == result.progress.search_rows + spent.rows_apart


@pytest.mark.parametrize("name", ATTACKS)
def test_an_image_alone_is_attacked_as_among_the_others(name: str) -> None:
    labels = decided(images()).tolist()
    place = max(labels.index(label) for label in labels)  # equal labels draw other numbers
    assert place > 0
    together, alone = whole(name), attack(name, slice(place, place + 1))
    assert alone.progress.targets[0].queries == together.progress.targets[place].queries
    assert np.array_equal(alone.best[0].latent, together.best[place].latent)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_stopped_attack_goes_on_to_the_same_end(name: str, tmp_path) -> None:
    store = tmp_path / "s.sqlite3"

    class Stop(Exception):
        pass

    def stop(progress) -> None:
        if progress.generation == 9:
            raise Stop

    with pytest.raises(Stop):
        attack(name, store=store, on_generation=stop)
    resumed, straight = attack(name, store=store), whole(name)
    for one, other in zip(resumed.best, straight.best, strict=True):
        assert np.array_equal(one.latent, other.latent)
    assert resumed.progress.search_rows == straight.progress.search_rows


@pytest.mark.parametrize("name", ATTACKS)
def test_a_targeted_attack_begins_at_an_image_of_the_class(name: str) -> None:
    clean = images()[:1]
    goal = (int(decided(clean)) + 1) % CLASSES
    pool = torch.rand(200, *SHAPE, generator=torch.Generator().manual_seed(5))
    pool = (pool * 255).round() / 255
    example = pool[decided(pool) == goal][:1]
    distance = f"stimulus.{ATTACKS[name][2]}_distance"
    near = Threshold((distance,), at_most=3 * ATTACKS[name][3])
    result = attack(
        name,
        slice(0, 1),
        targets=[Label(("class:0", distance), goal, targeted=True, closest=True)],
        criteria=[TargetClass(("class:0",), goal) & near],
        start=(example - clean).flatten(1).numpy(),
    )
    assert result.progress.targets[0].stop_reason is StopReason.SUCCESS
    assert int(decided(torch.from_numpy(np.asarray(result.best[0].stimulus))[None])) == goal


def test_a_forest_of_a_table_is_attacked_by_its_labels() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    from blackbox_am.oracles.sklearn import Sklearn

    rng = np.random.default_rng(0)
    rows = rng.random((300, 6)).astype(np.float32)
    classes = (rows[:, 0] + rows[:, 1] > 1).astype(int) + (rows[:, 2] > 0.7)
    forest = ensemble.RandomForestClassifier(20, random_state=0).fit(rows, classes)
    right = np.flatnonzero(forest.predict(rows) == classes)[:6]
    units = tuple(f"predict:{k}" for k in range(3))
    near = Threshold(("stimulus.linf_distance",), at_most=0.3)
    labels = classes[right].tolist()
    result = maximise(
        oracle=Sklearn(forest),
        generator=Perturbation(rows[right], radius=1.0, squash=False),
        targets=[Label((*units, "stimulus.linf_distance"), k, closest=True) for k in labels],
        criteria=[Misclassified(units, k) & near for k in labels],
        optimizer="rays",
        queries_per_target=300,
        device="cpu",
    )
    reasons = [one.stop_reason for one in result.progress.targets]
    assert reasons.count(StopReason.SUCCESS) >= 5
    for best, label in zip(result.best, labels, strict=True):
        assert forest.predict(np.asarray(best.stimulus)[None])[0] != label
