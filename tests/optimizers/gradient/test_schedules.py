"""The share of the learning rate over an ascent."""

import pytest
import torch

from blackbox_am.optimizers.gradient._schedules import Schedule, share_of_rate


def shares(schedule: Schedule, final_rate: float = 0.01) -> list[float]:
    progress = torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0, 1.5], dtype=torch.float64)
    return share_of_rate(schedule, final_rate, progress).tolist()


def test_constant() -> None:
    assert shares("constant") == [1.0] * 6


def test_linear() -> None:
    assert shares("linear", 0.0) == pytest.approx([1.0, 0.8, 0.5, 0.2, 0.0, 0.0])


def test_step_falls_in_thirds() -> None:
    assert shares("step") == pytest.approx([1.0, 1.0, 0.1, 0.01, 0.01, 0.01])


def test_cosine_equals_torch() -> None:
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    progress = torch.arange(21, dtype=torch.float64) / 20
    theirs = []
    for _ in progress:
        theirs.append(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    assert share_of_rate("cosine", 0.1, progress).tolist() == pytest.approx(theirs)
