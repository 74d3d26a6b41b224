import pytest
import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.measurement.roughness import Roughness


def _net(length: int = 8) -> TorchModule:
    torch.manual_seed(0)
    layers = (nn.Conv1d(1, 3, 3), nn.Flatten(), nn.Linear(3 * (length - 2), 4))
    return TorchModule(nn.Sequential(*layers), (1, length), device="cpu")


def test_measures_the_stimulus_and_passes_the_rest_on() -> None:
    net, stimuli = _net(), torch.rand(5, 1, 8)
    units = [Unit.parse(text) for text in ("2:1", "stimulus:1", "2:0", "stimulus:0")]
    answer = Roughness(net).observe(stimuli, units)
    steps = stimuli.diff(dim=2)[:, 0]
    torch.testing.assert_close(answer[:, 3], steps.square().mean(1))
    torch.testing.assert_close(answer[:, 1], steps.abs().mean(1))
    assert torch.equal(answer[:, [0, 2]], net.observe(stimuli, [units[0], units[2]]))


def test_images_have_neighbours_on_both_axes_and_none_across_channels() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    oracle = Roughness(TorchModule(model, (3, 2, 2), device="cpu"))
    flat = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    step = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]).expand(1, 3, 2, 2)
    answer = oracle.observe(torch.cat([flat, step]), [Unit.parse("stimulus:0")])
    torch.testing.assert_close(answer, torch.tensor([[0.0], [0.5]]))


def test_a_model_with_a_layer_of_that_name_or_no_neighbours() -> None:
    taken = TorchModule(nn.Sequential(), (4,), device="cpu")
    taken.model.add_module("stimulus", nn.Linear(4, 2))
    with pytest.raises(InvalidSpec, match="a layer 'stimulus' of its own"):
        Roughness(taken).describe()
    single = TorchModule(nn.Sequential(nn.Conv2d(3, 2, 1)), (3, 1, 1), device="cpu")
    with pytest.raises(InvalidSpec, match="expected stimuli with neighbours"):
        Roughness(single).describe()
