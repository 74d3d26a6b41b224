"""What a caller gives to `maximise`, in the forms that people have at hand."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import blackbox_am
from blackbox_am.errors import GradientUnavailable, InvalidInput, InvalidSpec


def run(net: nn.Module | None = None, **more: Any) -> blackbox_am.Result:
    torch.manual_seed(0)
    net = net or nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    given = {
        "oracle": blackbox_am.TorchModule(net, (3, 2, 2), device="cpu"),
        "generator": blackbox_am.Pixels(shape=(3, 2, 2)),
        "targets": ["output:1"],
        "queries_per_target": 20,
        **more,
    }
    return blackbox_am.maximise(**given)


def test_a_search_starts_at_an_earlier_result() -> None:
    first = run()
    at_latent = run(start=first.best[0].latent).best[0].score
    for start in (first, first.best, first.best[0]):
        assert run(start=start).best[0].score == at_latent >= first.best[0].score


@pytest.mark.parametrize("start", [object(), np.zeros((3, 2, 2)), {"a": 1}])
def test_what_is_no_start_is_refused(start: object) -> None:
    with pytest.raises(InvalidSpec, match="start: expected"):
        run(start=start)


@pytest.mark.parametrize(
    "study_id", ["", "  ", None, 1.5, 7, np.int64(7), "7", "No Id", "mine_1", "a/b", "a" * 64]
)
def test_what_is_no_id_is_refused(study_id: object) -> None:
    with pytest.raises(InvalidInput) as found:
        run(study_id=study_id)
    assert found.value.field == "study_id"
    assert "my-study-1" in found.value.message


def test_devices_as_people_have_them() -> None:
    assert run(device=torch.device("cpu")).best
    with pytest.raises(InvalidSpec, match="device"):
        run(device=None)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = torch.from_numpy(np.random.rand(len(x), 1)).to(x) + random.random()  # noqa: NPY002
        return functional.dropout(self.linear(x.flatten(1)), 0.5) + noise


def test_random_models_follow_the_seed_and_leave_the_callers_random_numbers() -> None:
    def numbers() -> tuple[Any, ...]:
        state: Any = np.random.get_state()  # noqa: NPY002
        return torch.get_rng_state().tolist(), state[1].tolist(), random.getstate()

    torch.manual_seed(0)
    net = Noisy()
    before = numbers()
    scores = [
        blackbox_am.maximise(
            oracle=blackbox_am.TorchModule(net, (3, 2, 2), device="cpu"),
            generator=blackbox_am.Pixels(shape=(3, 2, 2)),
            targets="output:1",
            queries_per_target=40,
            seed=seed,
        )
        .best[0]
        .score
        for seed in (-1, -1, 2)
    ]
    assert numbers() == before
    assert scores[0] == scores[1] != scores[2]


def test_a_model_that_cannot_be_differentiated_says_so() -> None:
    class Detached(nn.Module):
        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    with pytest.raises(GradientUnavailable, match="no_grad"):
        run(Detached(), optimizer="adam")
