"""A target ends at the first row that meets its criterion, in whatever batch the row is."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import Budget, ObjectiveSpec, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.types import StopReason
from blackbox_am.core.units import Unit
from blackbox_am.criteria.threshold import Threshold
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.stores import SQLStore
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.local import Result, maximise
from blackbox_am.studies.resolving import Request, resolve

UNITS = ["units:0", "units:3", "units:5", "units:7"]
GENERATOR = Pixels((3, 8, 8))


@dataclass(frozen=True)
class Counting(Oracle):
    kind: ClassVar[str] = "counting"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"served"})
    batch_size: int = 16
    served: list[int] = field(default_factory=list)

    @property
    def inner(self) -> Oracle:
        return Simulated(batch_size=self.batch_size)

    def describe(self):
        return self.inner.describe()

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        return self.inner.observe(stimuli, units)


@dataclass(frozen=True)
class Billed(Counting):
    """An oracle without padding, so that every served row is one that the study wanted."""

    kind: ClassVar[str] = "billed"

    billable: ClassVar[bool] = True


@cache
def levels() -> dict[str, float]:
    """For each unit, a value that the search reaches after some generations."""
    result = search(UNITS, criteria=[], queries=60)
    return {unit: best.score for unit, best in zip(UNITS, result.best, strict=True)}


def search(units, *, criteria=None, queries=400, oracle=None, **changes) -> Result:
    if criteria is None:
        criteria = [Threshold((unit,), at_least=levels()[unit]) for unit in units]
    wanted = {
        "oracle": oracle or Simulated(batch_size=16),
        "generator": GENERATOR,
        "targets": units,
        "criteria": criteria,
        "optimizer": "snes",
        "parameters": {"population": 20},
        "queries_per_target": queries,
        "seed": 3,
        "device": "cpu",
    }
    return maximise(**{**wanted, **changes})


@cache
def first_success(unit: str, level: float) -> int:
    """The number of rows up to the first that reaches `level`, in a search without a criterion."""
    result = search([unit], criteria=[])
    scores = np.concatenate([generation.scores[0] for generation in result.history])
    return int(np.flatnonzero(scores >= level)[0]) + 1


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_rows_of_a_target_end_at_its_success_whatever_the_batch_size(batch_size: int):
    expected = {unit: first_success(unit, level) for unit, level in levels().items()}
    together = search(UNITS, oracle=Simulated(batch_size=batch_size))
    assert all(one.stop_reason is StopReason.SUCCESS for one in together.progress.targets)
    assert [one.queries for one in together.progress.targets] == list(expected.values())
    assert any(queries % 20 for queries in expected.values()), "no success inside a generation"
    alone = search(UNITS[1:2], oracle=Simulated(batch_size=batch_size))
    assert alone.progress.targets[0].queries == expected[UNITS[1]]
    assert np.array_equal(alone.best[0].latent, together.best[1].latent)
    assert alone.best[0].candidate.row == together.best[1].candidate.row


def test_every_row_that_a_billed_oracle_served_is_on_the_bill():
    oracle = Billed()
    result = search(UNITS, oracle=oracle)
    spent = result.progress.spent
    assert spent.rows == sum(oracle.served) == result.progress.search_rows + spent.rows_apart
    assert 0 < spent.surplus_rows < 4 * 16, "more than one call beside each success"


def test_single_rows_have_no_surplus():
    oracle = Billed(batch_size=1)
    result = search(UNITS, oracle=oracle)
    assert result.progress.spent.surplus_rows == 0
    assert set(oracle.served[2:]) == {1}, "after the test whether the oracle repeats itself"


def test_the_quantities_of_the_best_row_are_those_of_its_stimulus():
    objective = Mean(("units:3", "units:5"))
    result = search([objective], criteria=[Threshold(("units:7", "units:3"), at_least=1e3)])
    best = result.best[0]
    assert best.stimulus is not None
    assert best.values is not None
    stimulus = torch.from_numpy(best.stimulus)[None]
    units = [Unit.parse(text) for text in ("units:3", "units:5", "units:7")]
    again = Simulated().observe(stimulus, units)[0]
    assert best.values == pytest.approx(again.tolist(), abs=1e-5)
    assert best.values[:2].mean() == pytest.approx(best.score)


def test_a_study_that_was_read_again_has_the_values_of_its_best_rows(tmp_path: Path):
    store = tmp_path / "s.sqlite3"
    first = search(UNITS, store=store)
    again = search(UNITS, store=store)
    for one, other in zip(first.best, again.best, strict=True):
        assert one.values is not None
        assert other.values is not None
        assert np.array_equal(one.values, other.values)


def test_clients_get_no_more_candidates_of_a_target_that_has_met_its_criterion(closes):
    spec = StudySpec(
        targets=(ObjectiveSpec("mean", quantities=("s0",)), ObjectiveSpec("mean", ("s1",))),
        criteria=(Threshold(("s0",), at_least=1).spec(), Threshold(("s1",), at_least=1).spec()),
        budget=Budget(queries_per_target=40),
        space=SpaceSpec("normal", 4),
        optimizer=OptimizerSpec("cma", {"population": 10}),
    )
    live = LiveStudy.create(closes(SQLStore(":memory:")), "s", resolve(Request(spec=spec)).created)
    _, keys, _ = live.take(4, 0.0)  # candidates that are not measured in time are given again
    assert {target for target, _ in keys} == {0}
    places = np.array(keys[:2])
    told = live.tell(0, places[:, 0], places[:, 1], np.array([[0.5], [2.0]]))
    assert told.accepted == 2
    _, keys, _ = live.take(100, 60)
    assert {target for target, _ in keys} == {1}
    assert len(keys) == 10
    places = np.array(keys)
    live.tell(0, places[:, 0], places[:, 1], np.zeros((10, 1)))
    assert live.study.generation == 1
    assert live.study.active == (1,)
    assert live.study.targets[0].queries == 2
    assert live.study.targets[0].stop_reason is StopReason.SUCCESS
