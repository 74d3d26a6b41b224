from pathlib import Path

import pytest
import torch
from torch import nn

from blackbox_am.core.weights import fill, misfit
from blackbox_am.errors import InvalidSpec


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_a_state_that_fits() -> None:
    state = net().state_dict()
    assert misfit(net(), state) == ""
    del state["1.num_batches_tracked"]  # plays no part in evaluation
    assert misfit(net(), state) == ""
    found = net()
    fill(found, state, Path("net.pt"))
    assert torch.equal(found[0].weight, state["0.weight"])


def test_all_that_does_not_fit_is_said() -> None:
    state = net().state_dict()
    state["0.weight"] = torch.zeros(4, 5)
    state["0.scale"] = state.pop("0.bias")
    assert misfit(net(), state) == (
        "the file lacks 0.bias; the module has no 0.scale; "
        "0.weight is (4, 5) in the file and (4, 3) in the module"
    )
    with pytest.raises(
        InvalidSpec, match=r"weights: net\.pt .* Sequential: the file lacks 0\.bias"
    ):
        fill(net(), state, Path("net.pt"))


def test_long_lists_are_cut() -> None:
    said = misfit(nn.Sequential(*(nn.Linear(1, 1) for _ in range(4))), {})
    assert said == "the file lacks 0.weight, 0.bias, 1.weight, 1.bias and 4 more"
