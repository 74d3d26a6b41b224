"""What every evaluator must do. Subclass `EvaluatorContract` and give it your evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from blackbox_am.core.criterion import Criterion
from blackbox_am.core.generator import Generator
from blackbox_am.core.objective import Objective
from blackbox_am.core.observation import Observation
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.criteria.threshold import Threshold
from blackbox_am.errors import OracleFailed, ShapeMismatch
from blackbox_am.evaluation import Evaluator, LocalEvaluator, Rows
from blackbox_am.objectives.mean import Mean
from blackbox_am.testing.local_models import Canvas, tiny_network

OBJECTIVES: tuple[Objective, ...] = (
    Mean(("3:1",)),
    Mean(("3:0", "3:2")) - Mean(("stimulus.tv",)),
    Mean(("0:4",)),
)
CRITERIA: tuple[Criterion, ...] = (Threshold(("3:4",), at_least=0.0),)
BATCH = 8

Build = Callable[[Generator, Oracle, tuple[Objective, ...], tuple[Criterion, ...]], Evaluator]


class Failing(Canvas):
    """A canvas that cannot be painted."""

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise OracleFailed(f"nothing works: {len(latents)} rows of {len(targets)} targets")


class EvaluatorContract:
    """Override the fixture `build`; the tests are inherited.

    They run on the CPU and, with the marker `cuda`, on a CUDA device where there is one.
    """

    @pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
    def device(self, request: pytest.FixtureRequest) -> str:
        """The device of latents and network."""
        name: str = request.param
        if name == "cuda" and not torch.cuda.is_available():
            pytest.skip("needs a CUDA device; torch sees none")
        return name

    @pytest.fixture
    def network(self, device: str) -> Oracle:
        return tiny_network(device=device)

    @pytest.fixture
    def build(self) -> Iterator[Build]:
        """Builds an evaluator with batches of `BATCH` rows."""
        raise NotImplementedError("override the fixture `build` with yours")

    @pytest.fixture
    def canvas(self) -> Canvas:
        return Canvas(SpaceSpec("normal", 5))

    @pytest.fixture
    def evaluator(self, build: Build, canvas: Canvas, network: Oracle) -> Evaluator:
        return build(canvas, network, OBJECTIVES, CRITERIA)

    @pytest.fixture
    def latents(self, canvas: Canvas, device: str) -> torch.Tensor:
        """(3, 4, D) latents of three targets."""
        return canvas.space.sample(Stream(5, "contract", 0, (0, 1, 2), device=device), 4)

    def test_the_observation_is_of_the_rows(
        self, evaluator: Evaluator, latents: torch.Tensor
    ) -> None:
        wanted = np.arange(12).reshape(3, 4) % 5 != 1
        rows = Rows.of(latents, (0, 1, 2), wanted)
        found = evaluator.submit(rows).result(timeout=60)
        assert len(rows) == wanted.sum()
        np.testing.assert_array_equal(found.targets, rows.targets)
        np.testing.assert_array_equal(found.rows, rows.rows)
        assert found.quantities[1] == ("3:0", "3:2", "3:4", "stimulus.tv")
        assert found.values.dtype == np.float64
        assert found.rendered.all()
        sizes = np.array([len(names) for names in found.quantities])
        own = np.arange(found.values.shape[1]) < sizes[found.targets][:, None]
        assert np.isfinite(found.values[own]).all()
        assert np.isnan(found.values[~own]).all()

    def test_values_do_not_depend_on_who_is_measured_beside(
        self, evaluator: Evaluator, latents: torch.Tensor
    ) -> None:
        whole = evaluator.submit(Rows.of(latents, (0, 1, 2))).result(timeout=60)
        for place in range(3):
            one = Rows.of(latents[place : place + 1], (place,))
            part = evaluator.submit(one).result(timeout=60)
            np.testing.assert_array_equal(part.values, whole.values[whole.targets == place])

    def test_several_submissions_may_wait_at_once(
        self, evaluator: Evaluator, latents: torch.Tensor
    ) -> None:
        futures = [evaluator.submit(Rows.of(latents, (0, 1, 2))) for _ in range(3)]
        found: list[Observation] = [future.result(timeout=60) for future in futures]
        for other in found[1:]:
            np.testing.assert_array_equal(other.values, found[0].values)

    def test_it_measures_what_the_plain_evaluator_measures(
        self, evaluator: Evaluator, canvas: Canvas, network: Oracle, latents: torch.Tensor
    ) -> None:
        plain = LocalEvaluator(canvas, network, OBJECTIVES, BATCH, CRITERIA)
        rows = Rows.of(latents, (0, 1, 2))
        found, expected = (one.submit(rows).result(timeout=60) for one in (evaluator, plain))
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.usage == expected.usage

    def test_gradients_come_with_the_values(
        self, evaluator: Evaluator, latents: torch.Tensor
    ) -> None:
        rows = Rows.of(latents, (0, 1, 2))
        found = evaluator.submit(rows, gradients=True).result(timeout=60)
        assert found.gradients is not None
        assert found.gradients.shape == rows.latents.shape
        assert found.gradients.isfinite().all()

    def test_bad_latents_are_refused_at_once(self, evaluator: Evaluator) -> None:
        with pytest.raises(ShapeMismatch):
            evaluator.submit(Rows.of(torch.zeros(1, 2, 4), (0,)))

    def test_a_failure_is_in_the_future_and_the_next_rows_are_measured(
        self, build: Build, network: Oracle, latents: torch.Tensor
    ) -> None:
        rows = Rows.of(latents, (0, 1, 2))
        broken = build(Failing(SpaceSpec("normal", 5)), network, OBJECTIVES, CRITERIA)
        for _ in range(2):
            with pytest.raises(OracleFailed, match="nothing works"):
                broken.submit(rows).result(timeout=60)
