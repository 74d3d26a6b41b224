"""What every objective must do. Subclass `ObjectiveContract` and give it your objective."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_am.core.objective import Objective
from blackbox_am.core.quantities import parse_quantity
from blackbox_am.core.spec import ObjectiveSpec, from_plain, to_plain
from blackbox_am.plugins import build_objective


def activations_for(objective: Objective, *shape: int, seed: int = 0) -> np.ndarray:
    """(*shape, U) float32 standard normal activations."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, len(objective.reads()))).astype(np.float32)


class ObjectiveContract:
    """Override the fixture `objective`; the tests are inherited."""

    @pytest.fixture
    def objective(self) -> Objective:
        raise NotImplementedError("override the fixture `objective` with yours")

    def test_reads_quantities(self, objective: Objective) -> None:
        assert objective.reads()
        for quantity in objective.reads():
            assert parse_quantity(str(quantity)) == quantity

    @pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
    def test_one_score_a_row(self, objective: Objective, shape: tuple[int, ...]) -> None:
        activations = activations_for(objective, *shape)
        assert objective.score(activations).shape == shape
        assert objective.score(torch.from_numpy(activations)).shape == shape

    def test_numpy_and_torch_agree(self, objective: Objective) -> None:
        activations = activations_for(objective, 5)
        np.testing.assert_allclose(
            objective.score(torch.from_numpy(activations)).numpy(),
            objective.score(activations),
            rtol=1e-5,
            atol=1e-6,
        )

    def test_stays_float32(self, objective: Objective) -> None:
        activations = activations_for(objective, 5)
        assert objective.score(activations).dtype == np.float32
        assert objective.score(torch.from_numpy(activations)).dtype == torch.float32

    def test_a_missing_activation_makes_a_missing_score(self, objective: Objective) -> None:
        activations = activations_for(objective, len(objective.reads()) + 1)
        for row in range(len(objective.reads())):
            activations[row, row] = np.nan
        missing = np.isnan(objective.score(activations))
        assert missing[:-1].all()
        assert not missing[-1]

    def test_rows_are_scored_alone(self, objective: Objective) -> None:
        activations = activations_for(objective, 5)
        together = objective.score(activations)
        for row in range(5):
            np.testing.assert_allclose(objective.score(activations[row]), together[row], rtol=1e-5)

    def test_scores_have_gradients(self, objective: Objective) -> None:
        if not objective.differentiable:
            return
        activations = torch.from_numpy(activations_for(objective, 5)).requires_grad_()
        (slopes,) = torch.autograd.grad(objective.score(activations).sum(), activations)
        assert slopes.isfinite().all()
        assert slopes.abs().max() > 0

    def test_its_specification_rebuilds_it(self, objective: Objective) -> None:
        again = build_objective(from_plain(ObjectiveSpec, to_plain(objective.spec())))
        assert again == objective
        assert again.reads() == objective.reads()
        activations = activations_for(objective, 5)
        np.testing.assert_array_equal(again.score(activations), objective.score(activations))

    def test_has_a_title(self, objective: Objective) -> None:
        assert str(objective).strip()
