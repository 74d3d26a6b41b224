"""Models that remember: no call depends on the calls before, and the lent model stays as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.torch.torch_module import TorchModule

UNITS = [Unit("output", 0), Unit("output", 1)]


class Recurrent(nn.Module):
    """Keeps its hidden state from call to call, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(6, 4, batch_first=True)
        self.fc = nn.Linear(4, 2)
        self.hidden: torch.Tensor | None = None
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        y, self.hidden = self.rnn(x.transpose(1, 2), self.hidden)
        return self.fc(y[:, -1])


class Buffered(nn.Module):
    """Changes one buffer in place and replaces the other."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 2)
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.fc(x.mean(2))
        self.steps.add_(1)
        self.mean = 0.9 * self.mean + 0.1 * y.mean(0).detach()
        return y - self.mean + self.steps


class Viewed(nn.Module):
    """Changes a tensor, which is no buffer, through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 2)
        self.mean = torch.zeros(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.fc(x.mean(2))
        torch.squeeze(self.mean).add_(y.mean(0).detach())
        return y - self.mean


@pytest.mark.parametrize("kind", [Recurrent, Buffered])
@pytest.mark.parametrize("dtype", ["auto", "float64"])
def test_no_call_depends_on_the_calls_before(kind: type[nn.Module], dtype: str) -> None:
    torch.manual_seed(0)
    model = kind()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    oracle = TorchModule(model, (6, 5), device="cpu", dtype=dtype)
    identity = oracle.fingerprint().digest
    stimuli = torch.rand(3, 6, 5)
    first = oracle.observe(stimuli, UNITS)
    oracle.observe(torch.rand(2, 6, 5), UNITS)
    assert torch.equal(oracle.observe(stimuli, UNITS), first)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert getattr(model, "hidden", None) is None
    assert oracle.fingerprint().digest == identity


TYPED = """
class Typed(Recurrent):
    def forward(self, x):
        y, self.hidden = self.rnn(x.transpose(1, 2), self.hidden)
        self.last = y[:, -1] + getattr(self, "last", 0)
        return self.fc(self.last)
"""


def test_a_class_without_source_and_a_view_are_restored_too() -> None:
    names = {"Recurrent": Recurrent, "__name__": __name__}
    exec(TYPED, names)
    for kind in (names["Typed"], Viewed):
        oracle = TorchModule(kind(), (6, 5), device="cpu")  # type: ignore[operator]
        stimuli = torch.rand(3, 6, 5)
        first = oracle.observe(stimuli, UNITS)
        oracle.observe(torch.rand(2, 6, 5), UNITS)
        assert torch.equal(oracle.observe(stimuli, UNITS), first)


def test_a_state_of_the_owner_is_used_and_kept() -> None:
    model = Recurrent()
    oracle = TorchModule(model, (6, 5), device="cpu")
    fresh = oracle.observe(torch.ones(1, 6, 5), UNITS)
    model.hidden = given = torch.ones(1, 1, 4)
    later = TorchModule(model, (6, 5), device="cpu", rows=1).observe(torch.ones(1, 6, 5), UNITS)
    assert model.hidden is given
    assert not torch.equal(fresh, later)


def test_a_lazy_module_without_values_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    with pytest.raises(InvalidSpec, match=r"1\.weight.*call the model once"):
        TorchModule(model, (6, 5), device="cpu").describe()
    model(torch.ones(1, 6, 5))
    assert TorchModule(model, (6, 5), device="cpu").describe().layers


def test_a_module_with_several_names_is_listed_under_each() -> None:
    model = nn.Module()
    model.first = nn.Linear(6, 2)
    model.layers = nn.ModuleList([model.first])
    model.forward = lambda x: model.first(x.mean(2))  # type: ignore[method-assign]
    info = TorchModule(model, (6, 5), device="cpu").describe()
    assert [layer.name for layer in info.layers] == ["first", "output"]
    assert {one.name: one.reason for one in info.unaddressable} == {
        "layers.0": "it is the module 'first' under another name; read 'first'"
    }
