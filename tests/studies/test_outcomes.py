"""What a study makes of its measurements: failed rows, success, masks, ties, permuted targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from blackbox_am import Mean, Pixels, maximise
from blackbox_am.core.expressions import objective
from blackbox_am.core.generator import Generator
from blackbox_am.core.observation import Observation
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import (
    Budget,
    CriterionSpec,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StudySpec,
)
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import InvalidSpec, OracleFailed
from blackbox_am.evaluation import Rows
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.testing.masking import masked
from tests.closes import Closes

P = 10
Model = Callable[[np.ndarray], np.ndarray]


def spec(queries: int = 40, targets: int = 1, optimizer: str = "cma", **more) -> StudySpec:
    return StudySpec(
        targets=tuple(ObjectiveSpec("mean", (f"s{k}:0",)) for k in range(targets)),
        budget=Budget(queries_per_target=queries),
        space=SpaceSpec("normal", 4),
        optimizer=OptimizerSpec(optimizer, {"population": P}),
        **more,
    )


Begin = Callable[[StudySpec], LiveStudy]


@pytest.fixture
def begin(closes: Closes) -> Begin:
    """Creates a study in a store of its own."""
    return lambda study_spec: LiveStudy.create(
        closes(SQLStore(":memory:")), "s", resolve(Request(spec=study_spec)).created
    )


def step(live: LiveStudy, model: Model, rendered: np.ndarray | None = None) -> None:
    """One generation, measured by `model`: latents (R, D) to values (R, U)."""
    live.start()
    generation = live.generation()
    rows = Rows.of(generation.latents, generation.targets, generation.wanted)
    shown = np.ones(len(rows), bool) if rendered is None else rendered
    values = model(rows.latents.numpy().astype(np.float64))
    live.tell_generation(generation, Observation(rows.targets, rows.rows, (), values, shown))


def bowl(latents: np.ndarray) -> np.ndarray:
    return -np.square(latents - 1).sum(axis=1, keepdims=True)


# Failed rows


def test_failed_rows_are_counted_by_reason_and_never_win(begin: Begin) -> None:
    def model(latents: np.ndarray) -> np.ndarray:
        values = bowl(latents)
        values[:4, 0] = [np.inf, -np.inf, np.nan, 1e9]
        return values

    live = begin(spec())
    step(live, model, rendered=np.arange(P) != 3)
    study = live.study
    assert study.failed == {"infinite": 2, "nan": 1, "stimulus not finite": 1}
    assert study.failed_rows == 4
    assert study.targets[0].queries == P
    assert study.targets[0].best_row > 3
    warning = reports.progress("s", study).warning
    assert "4 of 10 rows failed (1 nan, 2 infinite, 1 stimulus not finite)" in warning
    assert reports.load(live.store, "s").fingerprint() == study.fingerprint()
    (scores,) = reports.generations(live.store, "s")
    assert np.isnan(scores.scores[0, :4]).all()
    assert np.isfinite(scores.scores[0, 4:]).all()


def test_a_score_that_overflows_is_a_failed_row(begin: Begin) -> None:
    product = ObjectiveSpec("product", terms=(objective("s0:0"), objective("s0:1")))
    live = begin(replace(spec(), targets=(product,)))
    step(live, lambda latents: np.where(np.arange(P) < 2, 1e200, 1.0)[:, None] * np.ones((P, 2)))
    assert live.study.failed == {"infinite": 2}
    assert live.study.targets[0].best_score == 1.0


def test_a_generation_that_failed_wholly_teaches_nothing_and_is_no_improvement(
    begin: Begin,
) -> None:
    live = begin(spec())
    step(live, lambda latents: np.full((P, 1), np.inf))
    assert live.study.targets[0].best_latent is None
    assert reports.progress("s", live.study).targets[0].best_score is None
    step(live, bowl)
    assert np.isfinite(live.study.targets[0].best_score)


# Ties and the edges of numbers


def test_equal_scores_are_said_and_said_no_more_once_they_differ(begin: Begin) -> None:
    live = begin(spec(queries=200))
    step(live, lambda latents: np.full((P, 1), -1.5e6))
    warning = reports.progress("s", live.study).warning
    assert "all scores of generation 0 are equal: -1.5e+06" in warning
    assert "maximise the logit" in warning
    step(live, lambda latents: np.zeros((P, 1)))
    silent = reports.progress("s", live.study).warning
    assert "all scores of generation 1 are equal: 0" in silent
    assert "`.membrane` of a spiking unit" in silent
    step(live, bowl)
    assert reports.progress("s", live.study).warning == ""


def test_probabilities_near_their_ceiling_are_said(begin: Begin) -> None:
    live = begin(spec(queries=400))
    rows = np.arange(P)[:, None] / P
    step(live, lambda latents: np.where(rows < 0.5, 0.3, 0.9 + 0.0999 * rows))
    assert reports.progress("s", live.study).warning == ""
    step(live, lambda latents: np.where(rows < 0.5, 0.3, 0.99 + 0.0099 * rows))
    warning = reports.progress("s", live.study).warning
    assert warning.startswith("half of the scores of generation 1 are near 1, at most 0.99")
    assert "maximise the logit or the margin" in warning
    step(live, lambda latents: np.where(rows < 0.5, -0.1, 0.99 + 0.0099 * rows))
    assert reports.progress("s", live.study).warning == "", "a probability is not negative"
    step(live, lambda latents: 0.99 + 0.02 * rows)
    assert reports.progress("s", live.study).warning == "", "nor above 1"


def test_scores_at_the_resolution_of_float32_are_said(begin: Begin) -> None:
    live = begin(spec(queries=200))
    step(live, lambda latents: (-1.5e6 + bowl(latents) / 100).astype(np.float32).astype(float))
    assert "steps of float32" in reports.progress("s", live.study).warning
    step(live, lambda latents: -1.5e6 + bowl(latents) / 100)
    assert reports.progress("s", live.study).warning == ""


def test_float64_scores_are_learnt_from_whatever_their_size(begin: Begin) -> None:
    """Near -2e6, and near 1e-60, a search finds what it finds with the plain score."""
    found = []
    for model in (bowl, lambda x: -(2.0**21) + bowl(x), lambda x: 2.0**-200 * bowl(x)):
        live = begin(spec(queries=200))
        while live.study.state.active:
            step(live, model)
        found.append(live.study.targets[0].best_latent)
    np.testing.assert_allclose(found[1], found[0], atol=1e-3)
    np.testing.assert_array_equal(found[2], found[0])


# Success


def successful(**parameters) -> tuple[CriterionSpec, ...]:
    return (CriterionSpec("threshold", ("s0:0",), parameters),)


def test_the_first_success_ends_a_target_and_is_its_best(begin: Begin) -> None:
    def model(latents: np.ndarray) -> np.ndarray:
        return np.array([-9, 3, 5, 2, 7, 8, 9, 10, 11, 12], float)[:, None]

    live = begin(spec(criteria=successful(at_least=4.0, at_most=8.0)))
    step(live, model)
    target = live.study.targets[0]
    assert live.study.state is StudyState.SUCCEEDED
    assert live.study.stop_reason is target.stop_reason is StopReason.SUCCESS
    assert (target.success_row, target.best_row, target.best_score) == (2, 2, 5.0)
    assert reports.load(live.store, "s").fingerprint() == live.study.fingerprint()


def test_a_success_replaces_an_earlier_higher_score(begin: Begin) -> None:
    answers = iter([np.full((P, 1), 20.0) + np.arange(P)[:, None], np.arange(P)[:, None] * 1.0])
    live = begin(spec(criteria=successful(at_most=4.0)))
    step(live, lambda latents: next(answers))
    assert live.study.targets[0].best_score == 29.0
    step(live, lambda latents: next(answers))
    assert live.study.targets[0].best_score == 0.0
    assert live.study.targets[0].best_generation == 1


def test_a_failed_row_is_no_success(begin: Begin) -> None:
    live = begin(spec(criteria=successful(at_least=4.0)))
    step(live, lambda latents: np.full((P, 1), np.inf))
    assert not live.study.exhausted


def test_a_criterion_reads_units_that_the_objective_does_not(begin: Begin) -> None:
    class_1 = CriterionSpec("misclassified", ("s0:0", "s0:1"), {"label": 0})
    live = begin(spec(criteria=(class_1,)))
    assert live.study.units == 2
    step(live, lambda latents: np.stack([np.zeros(P), np.arange(P) - 6.5], axis=1))
    assert live.study.targets[0].success_row == 7


def test_each_target_may_have_its_own_criterion_and_the_others_go_on(begin: Begin) -> None:
    first = CriterionSpec("threshold", ("s0:0",), {"at_least": -1e9})
    second = CriterionSpec("threshold", ("s1:0",), {"at_least": 1e9})
    live = begin(spec(targets=2, criteria=(first, second)))
    step(live, bowl)
    assert [t.stop_reason for t in live.study.targets] == [StopReason.SUCCESS, StopReason.NONE]
    assert live.study.active == (1,)


# Masks


def test_masked_rows_are_neither_measured_nor_counted_nor_failed(closes: Closes) -> None:
    store = closes(SQLStore(":memory:"))
    created = resolve(Request(spec=spec(queries=13, targets=2))).created
    live = LiveStudy.create(store, "s", created, equip=masked)
    measured = []

    def counting(latents: np.ndarray) -> np.ndarray:
        measured.append(len(latents))
        return bowl(latents)

    while live.study.state.active:
        step(live, counting)
        recovered = LiveStudy.recover(store, "s", equip=masked)  # as after a kill
        assert recovered.study.targets[0].plain() == live.study.targets[0].plain()
        live = recovered
    assert measured == [10, 10, 6], "5 rows of each of 2 targets, then what the budget has"
    assert [target.queries for target in live.study.targets] == [13, 13]
    assert live.study.failed_rows == 0
    for generation in reports.generations(store, "s"):
        assert np.isnan(generation.scores).any(axis=1).all()


def test_clients_are_handed_the_wanted_rows_alone(closes: Closes) -> None:
    store = closes(SQLStore(":memory:"))
    live = LiveStudy.create(store, "s", resolve(Request(spec=spec())).created, equip=masked)
    generation, keys, _ = live.take(100, 60)
    assert len(keys) == 5
    assert all(generation.wanted[target, row] for target, row in keys)
    rows = np.array([row for _, row in keys])
    told = live.tell(0, np.zeros(5, np.int64), rows, np.arange(5.0)[:, None])
    assert told.accepted == 5
    assert live.study.generation == 1


# Where a target stands


def test_permuted_targets_give_permuted_results_to_the_last_bit() -> None:
    units = ("units:4", "units:1", "units:4", "units:7")
    order = (3, 1, 0, 2)

    def found(targets: tuple[str, ...]) -> list[tuple[float, bytes]]:
        result = maximise(
            oracle=Simulated((2, 4, 4)),
            generator=Pixels((2, 4, 4)),
            targets=targets,
            optimizer="cma",
            queries_per_target=120,
            seed=3,
        )
        return [(best.score, best.latent.tobytes()) for best in result.best]

    plain = found(units)
    # The two equal targets keep their order: the first of them stays the first.
    assert found(tuple(units[i] for i in order)) == [plain[i] for i in order]
    assert plain[0] != plain[2], "equal objectives draw other numbers"


# Whole studies


@dataclasses.dataclass(frozen=True)
class Overflowing(Generator):
    """Half of its stimuli are nan or infinite."""

    kind: ClassVar[str] = "overflowing"

    @property
    def space(self) -> Space:
        return build_space(SpaceSpec("normal", 3))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return (3,)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        stimuli = latents.sigmoid()
        stimuli[latents[:, 0] > 0] = torch.nan
        stimuli[latents[:, 0] > 1] = torch.inf
        return stimuli


@pytest.mark.parametrize("billable", [False, True])
def test_a_stimulus_that_is_not_finite_is_never_shown(billable: bool) -> None:
    shown: list[np.ndarray] = []

    def model(stimuli: np.ndarray) -> np.ndarray:
        shown.append(stimuli)
        return -stimuli.sum(1)

    @dataclasses.dataclass(frozen=True)
    class Billed(Function):
        pass

    Billed.billable = billable
    result = maximise(
        oracle=Billed(model, (3,)),
        generator=Overflowing(),
        targets=["scores:0"],
        optimizer="random",
        queries_per_target=200,
    )
    assert np.isfinite(np.concatenate(shown)).all()
    failed = result.progress.failed_rows
    assert 60 < failed < 140
    assert f"{failed} stimulus not finite" in result.progress.warning
    assert np.isfinite(result.best[0].stimulus).all()
    if billable:
        # The oracle says how many rows it has on its first use, which is not of the search.
        spent = result.progress.spent
        assert spent.rows - spent.probe_rows == 200 - failed


def test_what_was_found_comes_back_with_the_error() -> None:
    calls = []

    def model(stimuli: np.ndarray) -> np.ndarray:
        calls.append(len(stimuli))
        good = stimuli.mean((1, 2, 3))
        return np.where(len(calls) > 6, np.inf, good)

    result = maximise(
        oracle=Function(model, (1, 4, 4)),
        generator=Pixels((1, 4, 4)),
        targets=["scores:0"],
        optimizer="cma",
        queries_per_target=500,
    )
    assert result.progress.state is StudyState.FAILED
    assert "failed (" in result.progress.message
    assert "infinite" in result.progress.message
    assert np.isfinite(result.best[0].score)
    assert result.history


def test_a_study_without_a_finite_score_says_so() -> None:
    result = maximise(
        oracle=Function(lambda x: np.full((len(x), 2), 1e300), (1, 4, 4)),
        generator=Pixels((1, 4, 4)),
        targets=["1e300 * scores:0", "scores:1"],
        optimizer="cma",
        queries_per_target=20,
    )
    assert result.progress.state is StudyState.SUCCEEDED
    assert result.progress.message.startswith("1 of 2 targets have no finite score; of 40 measured")
    assert "rows: 20 infinite" in result.progress.message


def test_a_study_that_finds_nothing_at_all_raises() -> None:
    with pytest.raises(OracleFailed, match=r"rows of generation 0 failed \(.* infinite\)"):
        maximise(
            oracle=Function(lambda x: np.full(len(x), np.inf), (1, 4, 4)),
            generator=Pixels((1, 4, 4)),
            targets=["scores:0"],
            queries_per_target=100,
        )


def test_penalties_are_journalled_beside_the_units() -> None:
    result = maximise(
        oracle=Simulated((1, 6, 6)),
        generator=Pixels((1, 6, 6)),
        targets=[Mean(("units:1",)) - 2 * Mean(("stimulus.tv",))],
        optimizer="cma",
        queries_per_target=60,
    )
    stimulus = torch.from_numpy(result.best[0].stimulus)[None]
    tv = torch.cat([stimulus.diff(dim=2).flatten(1), stimulus.diff(dim=3).flatten(1)], 1)
    unit = Simulated((1, 6, 6)).observe(stimulus, Mean(("units:1",)).reads())
    assert result.best[0].score == pytest.approx(float(unit - 2 * tv.abs().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("quantity", "message"),
    [("stimulus.tvv", "did you mean 'stimulus.tv'"), ("stimulus.l2_distance", "around none")],
)
def test_measures_that_do_not_exist_are_refused_at_creation(quantity: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        maximise(oracle=Simulated(), generator=Pixels((3, 8, 8)), targets=[quantity])


def test_a_bare_space_has_no_measures() -> None:
    penalised = ObjectiveSpec("mean", ("s:0", "latent.norm"))
    with pytest.raises(InvalidSpec, match="renders none; name a generator"):
        resolve(Request(spec=replace(spec(), targets=(penalised,))))
