"""Any order of ask, tell, repeat, late, nan and kill: the fold of the journal is the state."""

from __future__ import annotations

from contextlib import closing
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from blackbox_am.core.spec import Budget, ObjectiveSpec, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import StudyClosed
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.testing.masking import masked

TARGETS, POPULATION, DIMENSION, QUERIES = 3, 4, 2, 18
"""18 is no multiple of 4: the last generation is cut by the budget."""


def make_spec(optimizer: str) -> StudySpec:
    return StudySpec(
        targets=tuple(ObjectiveSpec("mean", quantities=(f"score{k}",)) for k in range(TARGETS)),
        budget=Budget(queries_per_target=QUERIES, patience=3),
        space=SpaceSpec("normal", DIMENSION),
        optimizer=OptimizerSpec(optimizer, {"population": POPULATION}),
        seed=7,
    )


def measure(generation: int, target: int, row: int, latent: np.ndarray) -> float:
    """A deterministic model, of which some answers are lost."""
    if (generation * 7 + target * 3 + row) % 5 == 0:
        return float("nan")
    return float(-np.sum((latent - target) ** 2))


def outcome(live: LiveStudy) -> list[tuple[object, ...]]:
    """What must not depend on who told what when."""
    return [
        (
            t.queries,
            t.best_score,
            t.best_generation,
            t.best_row,
            t.stop_reason,
            t.stagnation,
            None if t.best_latent is None else t.best_latent.tobytes(),
        )
        for t in live.study.targets
    ]


def uninterrupted(optimizer: str, **options) -> list[tuple[object, ...]]:
    with closing(SQLStore(":memory:")) as store:
        created = resolve(Request(spec=make_spec(optimizer))).created
        live = LiveStudy.create(store, "plain", created, **options)
        while live.study.state.active:
            generation, keys, _ = live.take(1000, 60)
            tell(live, generation.index, keys, generation)
        return outcome(live)


def tell(live, index, keys, generation):
    position = {target: place for place, target in enumerate(generation.targets)}
    latents = generation.latents.numpy()
    values = [[measure(index, t, r, latents[position[t], r])] for t, r in keys]
    targets = np.array([t for t, _ in keys], dtype=np.int64)
    rows = np.array([r for _, r in keys], dtype=np.int64)
    return live.tell(index, targets, rows, np.array(values, dtype=np.float32))


class Chaos(RuleBasedStateMachine):
    optimizer = "random"
    options: ClassVar[dict[str, Any]] = {}

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.store = SQLStore(":memory:")
        self.history: list[tuple[int, list[tuple[int, int]], object]] = []
        self.live = LiveStudy.create(
            self.store,
            "chaos",
            resolve(Request(spec=make_spec(self.optimizer))).created,
            clock=lambda: self.now,
            **self.options,
        )

    @precondition(lambda self: self.live.study.state.active)
    @rule(n=st.integers(1, 14), data=st.data())
    def ask_and_tell_some(self, n: int, data: st.DataObject) -> None:
        generation, keys, _ = self.live.take(n, 5.0)
        if not keys:
            return
        self.history.append((generation.index, keys, generation))
        chosen = data.draw(st.permutations(keys))[: data.draw(st.integers(0, len(keys)))]
        if chosen:
            told = tell(self.live, generation.index, chosen, generation)
            assert told.accepted == len(chosen)
            assert told.repeated == 0

    @precondition(lambda self: self.live.study.state.active)
    @rule()
    def ask_and_tell_the_rest(self) -> None:
        self.now += 10.0
        generation, keys, _ = self.live.take(1000, 5.0)
        if keys:
            tell(self.live, generation.index, keys, generation)

    @precondition(lambda self: bool(self.history) and self.live.study.state.active)
    @rule(data=st.data())
    def tell_again_or_late(self, data: st.DataObject) -> None:
        index, keys, generation = data.draw(st.sampled_from(self.history))
        before = sum(t.queries for t in self.live.study.targets)
        told = tell(self.live, index, keys, generation)
        assert told.accepted + told.repeated == len(keys)
        if index < self.live.study.generation and told.accepted == 0:
            assert sum(t.queries for t in self.live.study.targets) == before

    @rule()
    def kill_and_recover(self) -> None:
        """The object is gone; what was written is all there is."""
        self.live = LiveStudy.recover(self.store, "chaos", clock=lambda: self.now, **self.options)

    @precondition(lambda self: self.live.study.state.active)
    @rule()
    def pause_and_resume(self) -> None:
        self.live.pause()
        assert self.live.take(3, 1.0)[1] == []
        self.live.resume()

    @rule(seconds=st.floats(0.0, 20.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_state_is_the_fold(self) -> None:
        if not hasattr(self, "live"):
            return
        folded = reports.load(self.store, "chaos")
        assert folded.fingerprint() == self.live.study.fingerprint()
        sequences = [record.sequence for record in self.store.read("chaos")]
        assert sequences == list(range(1, len(sequences) + 1))

    def teardown(self) -> None:
        if not hasattr(self, "live"):
            return
        while self.live.study.state.active:
            self.now += 100.0
            self.live.resume()
            self.ask_and_tell_the_rest()
        assert self.live.study.state is StudyState.SUCCEEDED
        assert outcome(self.live) == uninterrupted(self.optimizer, **self.options)
        with pytest.raises(StudyClosed):
            self.live.tell(0, np.array([0]), np.array([0]), np.array([[1.0]], np.float32))
        self.store.close()


class ChaosWithCMA(Chaos):
    optimizer = "cma"


class ChaosWithMasks(Chaos):
    """An optimizer that wants half of its rows measured, another half each time."""

    optimizer = "cma"
    options: ClassVar[dict[str, Any]] = {"equip": masked}


class ChaosWithPyCMA(Chaos):
    """Live objects of a library, replayed at every kill."""

    optimizer = "pycma"


class ChaosWithNevergrad(Chaos):
    optimizer = "nevergrad:TwoPointsDE"


TestChaos = Chaos.TestCase
TestChaosWithCMA = ChaosWithCMA.TestCase
TestLongChaos = pytest.mark.slow(type("TestLongChaos", (Chaos.TestCase,), {}))
TestLongChaosWithCMA = pytest.mark.slow(type("TestLongChaosWithCMA", (ChaosWithCMA.TestCase,), {}))
TestChaosWithMasks = pytest.mark.slow(ChaosWithMasks.TestCase)
TestChaosWithPyCMA = pytest.mark.slow(ChaosWithPyCMA.TestCase)
TestChaosWithNevergrad = pytest.mark.slow(ChaosWithNevergrad.TestCase)
for case, examples in (
    (TestChaos, 6),
    (TestChaosWithCMA, 4),
    (TestLongChaos, 30),
    (TestLongChaosWithCMA, 20),
    (TestChaosWithMasks, 15),
    (TestChaosWithPyCMA, 8),
    (TestChaosWithNevergrad, 5),
):
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

del case
