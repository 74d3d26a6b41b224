import pytest
import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.evaluation import Evaluator
from blackbox_am.generators.data.series import Series
from blackbox_am.objectives.mean import Mean
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


def test_a_penalty_is_a_term_of_the_objective_and_has_a_gradient() -> None:
    generator = Series(length=8, basis="samples", decay=0)
    penalised = Mean(("2:1",)) - 3 * Mean(("stimulus:0",))
    latents = torch.randn(1, 4, 8)
    evaluator = Evaluator(generator, Roughness(_net()), (penalised,), 4)
    found = evaluator.evaluate(latents, [0], gradients=True)

    leaf = latents[0].clone().requires_grad_()
    stimuli = generator.render(leaf)
    logits = _net().observe(stimuli, [Unit.parse("2:1")])[:, 0]
    score = logits - 3 * stimuli.diff(dim=2).square().mean((1, 2))
    (slopes,) = torch.autograd.grad(score.sum(), leaf)
    torch.testing.assert_close(found.gradients[0], slopes)
    scores = penalised.score(torch.from_numpy(found.activations[0]))
    torch.testing.assert_close(scores, score.detach())


def test_a_model_with_a_layer_of_that_name_or_no_neighbours() -> None:
    taken = TorchModule(nn.Sequential(), (4,), device="cpu")
    taken.model.add_module("stimulus", nn.Linear(4, 2))
    with pytest.raises(InvalidSpec, match="a layer 'stimulus' of its own"):
        Roughness(taken).describe()
    single = TorchModule(nn.Sequential(nn.Conv2d(3, 2, 1)), (3, 1, 1), device="cpu")
    with pytest.raises(InvalidSpec, match="expected stimuli with neighbours"):
        Roughness(single).describe()
