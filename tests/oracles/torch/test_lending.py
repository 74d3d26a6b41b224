"""What is left of a model that was lent to an oracle: everything, as it was."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.torch.torch_module import TorchModule

SHAPE = (1, 8, 8)
UNITS = [Unit("0", 1), Unit("5", 0)]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(144, 5),
    )


def of(model: nn.Module, **more: object) -> TorchModule:
    return TorchModule(model, stimulus_shape=SHAPE, device="cpu", **more)


@pytest.fixture
def stimuli() -> torch.Tensor:
    return torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float64"])
def test_a_lent_model_is_afterwards_as_before(dtype: str, stimuli: torch.Tensor) -> None:
    model = net().train()
    model[3].eval()  # not all of it trains
    model[0].bias.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    oracle = of(model, dtype=dtype)
    oracle.observe(stimuli, UNITS)
    x = stimuli.clone().requires_grad_()
    oracle.observe(x, UNITS).sum().backward()
    assert x.grad is not None
    assert [one.training for one in model.modules()] == [True] * 4 + [False] + [True] * 2
    assert [p.requires_grad for p in model.parameters()] == [True, False] + [True] * 4
    assert all(p.grad is None for p in model.parameters())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("dtype", ["auto", "float64"])
def test_training_goes_on_and_is_seen(dtype: str, stimuli: torch.Tensor) -> None:
    model = net().train()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    oracle = of(model, dtype=dtype)
    before = oracle.observe(stimuli, UNITS)
    loss = model(stimuli).square().sum()
    oracle.observe(stimuli.clone().requires_grad_(), UNITS)  # between a loss and its backward
    loss.backward()
    optimizer.step()
    after = oracle.observe(stimuli, UNITS)
    assert not torch.equal(before, after)
    fresh = of(copy.deepcopy(model), dtype=dtype).observe(stimuli, UNITS)
    assert torch.equal(after, fresh)


def test_two_precisions_of_one_model_do_not_disturb_each_other(stimuli: torch.Tensor) -> None:
    model = net().eval()
    plain, half, double = (of(model, dtype=how) for how in ("auto", "bfloat16", "float64"))
    first = [oracle.observe(stimuli, UNITS) for oracle in (plain, half, double)]
    again = [oracle.observe(stimuli, UNITS) for oracle in (plain, half, double)]
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(stimuli.double())[:, 0]
    assert first[2].dtype == torch.float64
    torch.testing.assert_close(first[2][:, 1], exact, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(first[1], first[0], rtol=0.05, atol=0.05)


def test_complex_weights_stay_complex(stimuli: torch.Tensor) -> None:
    class Fourier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 5, dtype=torch.cfloat))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.irfft2(torch.fft.rfft2(x) * self.weight).flatten(1)

    model = Fourier()
    expected = model(stimuli).detach()
    for dtype in ("auto", "float32", "float64"):
        answer = of(model, dtype=dtype).observe(stimuli, [Unit("output", 5)])
        torch.testing.assert_close(answer[:, 0].float(), expected[:, 5])
    assert model.weight.dtype == torch.cfloat


def test_weights_of_a_file_go_into_a_copy(stimuli: torch.Tensor, tmp_path: object) -> None:
    model, other = net().eval(), net().eval()
    nn.init.normal_(other[5].weight)
    torch.save(other.state_dict(), f"{tmp_path}/net.pt")
    before = model[5].weight.detach().clone()
    answer = of(model, weights=f"{tmp_path}/net.pt").observe(stimuli, UNITS)
    assert torch.equal(model[5].weight, before)
    assert torch.equal(answer, of(other).observe(stimuli, UNITS))


def test_a_used_oracle_can_be_pickled(stimuli: torch.Tensor) -> None:
    oracle = of(net(), mean=0.5, std=0.25)
    expected = oracle.observe(stimuli, UNITS)
    again = pickle.loads(pickle.dumps(oracle))  # our own
    assert torch.equal(again.observe(stimuli, UNITS), expected)


@pytest.mark.parametrize(
    "mean",
    [0.5, [0.5], np.float32(0.5), np.full(3, 0.5), np.full((3, 1, 1), 0.5), torch.tensor(0.5)],
)
def test_numbers_as_people_have_them(mean: object) -> None:
    x = torch.rand(2, 3, 4, 4)
    oracle = TorchModule(nn.Flatten(), np.array([3, 4, 4]), mean, np.float64(0.25), device="cpu")
    answer = oracle.observe(x, [Unit("output", 7)])
    torch.testing.assert_close(answer[:, 0], ((x - 0.5) / 0.25).flatten(1)[:, 7])


@pytest.mark.parametrize("mean", ["grey", [0.1, "x"], float("nan"), np.zeros((2, 2)), object()])
def test_what_is_no_number_is_refused(mean: object) -> None:
    with pytest.raises(InvalidSpec, match="mean: expected one number, or one a channel"):
        TorchModule(nn.Flatten(), (3, 4, 4), mean, device="cpu")


def test_what_ran_compiled_or_in_parallel_has_its_own_names() -> None:
    for wrapped in (nn.DataParallel(net()), torch.compile(net())):
        names = [layer.name for layer in of(wrapped).describe().layers]
        assert names == ["0", "1", "2", "3", "4", "5", "output"]


def test_the_forward_pass_ends_behind_the_last_layer_that_is_read(stimuli: torch.Tensor) -> None:
    model = net().eval()
    oracle = of(model)
    oracle.describe()
    ran = []
    model[5].register_forward_hook(lambda *_: ran.append("5"))
    oracle.observe(stimuli, [Unit("0", 1), Unit("2", 0)])
    assert not ran
    oracle.observe(stimuli, [Unit("5", 1)])
    assert ran == ["5"]


@pytest.mark.parametrize("dtype", ["auto", "float64"])
def test_weights_that_were_made_in_inference_mode_are_used_and_followed(
    dtype: str, stimuli: torch.Tensor
) -> None:
    with torch.inference_mode():
        model = net().eval()
    oracle = of(model, dtype=dtype)
    x = stimuli.clone().requires_grad_()
    found = oracle.observe(x, UNITS)
    found.sum().backward()
    assert x.grad is not None
    with torch.no_grad():
        expected = model(stimuli)[:, 0]
    torch.testing.assert_close(found[:, 1].detach(), expected, check_dtype=False)
    with torch.inference_mode():
        model[5].bias += 1.0
    again = oracle.observe(stimuli, UNITS)
    torch.testing.assert_close(again[:, 1], expected + 1.0, check_dtype=False)
    assert model[5].weight.is_inference()
    assert model[5].weight.requires_grad
