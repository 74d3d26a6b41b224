"""Redirected gradients of ReLUs: where they pass, and that nothing else changes."""

import math

import pytest
import torch
from torch import nn

from blackbox_am.core.chain import Position, drawn_at
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.torch._redirected import redirected
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.studies.local import maximise


class Net(nn.Module):
    """A unit that is on where the mean stimulus is above .8, and a head behind it."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.inner, self.act, self.head = nn.Linear(4, 2), act, nn.Linear(2, 1)
        with torch.no_grad():
            self.inner.weight.copy_(torch.tensor([[5.0] * 4, [5.0, 5.0, -5.0, -5.0]]))
            self.inner.bias.copy_(torch.tensor([-16.0, -1.0]))
            self.head.weight.copy_(torch.tensor([[1.0, -1.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.inner(x.flatten(1))))


def slopes(oracle: TorchModule, stimuli: torch.Tensor, unit: Unit) -> torch.Tensor:
    leaves = stimuli.clone().requires_grad_()
    (found,) = torch.autograd.grad(oracle.observe(leaves, [unit]).sum(), leaves)
    return found


OFF = torch.tensor([[0.2, 0.2, 0.2, 0.2]]).reshape(1, 1, 4)
ON = torch.tensor([[0.9, 0.9, 0.9, 0.9]]).reshape(1, 1, 4)
UNIT = Unit("act", 0)


def oracle(act: nn.Module, *, redirects: bool = True) -> TorchModule:
    return TorchModule(Net(act), (1, 4), device="cpu", redirected_relu=redirects)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_gradient_reaches_a_unit_that_is_off(inplace: bool) -> None:
    plain, ours = (oracle(nn.ReLU(inplace), redirects=redirects) for redirects in (False, True))
    stimuli = torch.cat([OFF, ON])
    assert torch.equal(ours.observe(stimuli, [UNIT]), plain.observe(stimuli, [UNIT]))
    assert not slopes(plain, stimuli, UNIT)[0].any()
    found = slopes(ours, stimuli, UNIT)
    torch.testing.assert_close(found, torch.full_like(found, 5.0))
    for module in ours.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_only_what_pushes_up_passes_and_only_where_nothing_else_does() -> None:
    ours = oracle(nn.ReLU())
    # Both units are off. The head wants unit 0 up and unit 1 down: only the former passes.
    found = slopes(ours, OFF, Unit("head", 0))
    torch.testing.assert_close(found, torch.full_like(found, 5.0))
    # Unit 1 is on, so the ordinary gradient of this row is not zero and remains as it is.
    half = torch.tensor([0.5, 0.5, 0.0, 0.0]).reshape(1, 1, 4)
    both = torch.cat([half, OFF])
    ordinary = slopes(oracle(nn.ReLU(), redirects=False), half, Unit("head", 0))
    found = slopes(ours, both, Unit("head", 0))
    assert torch.equal(found[:1], ordinary)
    assert (found[1] == 5).all()


def test_values_above_six_are_pushed_down() -> None:
    values = torch.tensor([[-1.0, 7.0, 8.0], [-1.0, 3.0, 7.0]])
    up = torch.ones_like(values)
    assert redirected(values, up, top=6.0).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert redirected(values, -up, top=6.0).tolist() == [[0, -1, -1], [0, -1, 0]]
    assert redirected(values, up, top=math.inf).tolist() == [[0, 1, 1], [0, 1, 1]]
    assert redirected(values.T, up.T, axis=1, top=6.0).T.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert slopes(oracle(nn.ReLU6()), OFF, UNIT).any()


def test_it_ends_after_the_first_generations() -> None:
    ours = oracle(nn.ReLU())
    for generation, passes in ((0, True), (15, True), (16, False), (100, False)):
        with drawn_at(Position(generation)):
            assert bool(slopes(ours, OFF, UNIT).any()) == passes


def test_an_ascent_begins_at_a_unit_that_is_off() -> None:
    scores = {}
    for redirects in (False, True):
        result = maximise(
            oracle=oracle(nn.ReLU(), redirects=redirects),
            generator=Pixels((1, 4)),
            targets="act:0",
            optimizer="adam",
            queries_per_target=60,
            start=torch.full((4,), -1.0).numpy(),
            parameters={"population": 1, "learning_rate": 0.3},
            device="cpu",
        )
        scores[redirects] = result.best[0].score
    assert scores[False] == 0
    assert scores[True] > 1


def test_a_model_without_modules_to_redirect_is_refused() -> None:
    class Functional(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1).relu()

    with pytest.raises(
        InvalidSpec, match="has none; a ReLU that is called as a function"
    ) as caught:
        TorchModule(Functional(), (1, 4), device="cpu", redirected_relu=True).describe()
    assert caught.value.field == "redirected_relu"
    assert TorchModule("zoo:cifar_cnn", redirected_relu=True, device="cpu").describe()
