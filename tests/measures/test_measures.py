"""Every registered measure meets the contract; and each computes what it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from blackbox_am.core.measure import Measure, Rendered
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.evaluation import LocalEvaluator, Rows
from blackbox_am.generators.data.series import Series
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.plugins import measure, measures
from blackbox_am.testing.measures import MeasureContract


@pytest.mark.parametrize("kind", measures.names())
class TestMeasures(MeasureContract):
    @pytest.fixture
    def measure(self, kind: str) -> Measure:
        return measures.get(kind)()


def value(name: str, stimuli: torch.Tensor, references: torch.Tensor | None = None) -> torch.Tensor:
    latents = stimuli.flatten(1)
    return measure(name).measure(name, Rendered(latents, stimuli, references))


def test_images_have_neighbours_on_both_axes_and_none_across_channels() -> None:
    flat = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    step = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]).expand(1, 3, 2, 2)
    stimuli = torch.cat([flat, step])
    assert value("stimulus.roughness", stimuli).tolist() == [0.0, 0.5]
    assert value("stimulus.tv", stimuli / 2).tolist() == [0.0, 0.25]
    assert value("stimulus.roughness", stimuli / 2).tolist() == [0.0, 0.125]


def test_norms() -> None:
    stimuli = torch.tensor([[[0.0, 0.6, 0.8]]])
    for name, expected in (("l1", 1.4), ("l2", 1.0), ("linf", 0.8)):
        torch.testing.assert_close(value(f"stimulus.{name}", stimuli), torch.tensor([expected]))
    expected = torch.tensor([(0.6**6 + 0.8**6) ** (1 / 6)])
    torch.testing.assert_close(value("stimulus.l6", stimuli), expected)
    torch.testing.assert_close(value("latent.norm", stimuli), torch.tensor([1.0]))


def test_norms_from_mid_grey() -> None:
    stimuli = torch.tensor([[[0.5, 0.9, 0.2]], [[0.5, 0.5, 0.5]]])
    for name, expected in (("l1", 0.7), ("l2", 0.5), ("l6", (0.4**6 + 0.3**6) ** (1 / 6))):
        found = value(f"stimulus.{name}_grey", stimuli)
        torch.testing.assert_close(found, torch.tensor([expected, 0.0]))


def test_blur_measures_fine_detail_and_nothing_of_a_slope() -> None:
    time = torch.arange(16.0)
    fine, coarse = (0.5 + 0.5 * torch.cos(torch.pi * time * f) for f in (1, 1 / 8))
    found = value("stimulus.blur", torch.stack([fine, coarse, time / 15]).unsqueeze(1))
    inner = ((fine - 0.5).square().mean()).item()  # the filter removes this frequency
    assert found[0].item() == pytest.approx(inner, rel=0.15)
    assert found[1] < found[0] / 100
    assert value("stimulus.blur", torch.full((1, 3, 5, 5), 0.3)).item() < 1e-12
    assert found[2] < 1e-3  # the border alone


def test_blur_smooths_both_axes_of_an_image() -> None:
    rows = torch.tensor([0.0, 1.0] * 4).expand(1, 3, 8, 8)
    one, other = value("stimulus.blur", torch.cat([rows, rows.mT]))
    assert one == pytest.approx(other.item())
    assert one > 0.2


def test_shares_of_energy_above_a_frequency() -> None:
    time = torch.arange(32)

    def wave(cycles: int) -> torch.Tensor:
        return 0.5 + 0.2 * torch.sin(2 * torch.pi * cycles * time / 32 + 0.3)

    stimuli = torch.stack([wave(1), wave(3), wave(6), wave(12), 0.5 * (wave(1) + wave(12))])
    for name, expected in (
        ("half", [0, 0, 0, 1, 0.5]),
        ("quarter", [0, 0, 1, 1, 0.5]),
        ("eighth", [0, 1, 1, 1, 0.5]),
    ):
        found = value(f"stimulus.above_{name}_nyquist", stimuli.unsqueeze(1))
        torch.testing.assert_close(found, torch.tensor(expected).float(), atol=1e-4, rtol=0)


def test_the_frequency_of_an_image_is_the_length_of_both() -> None:
    place = torch.arange(16)
    diagonal = torch.cos(2 * torch.pi * 3 * (place[:, None] + place) / 16)
    stimuli = (0.5 + 0.2 * diagonal).expand(1, 3, 16, 16)  # 3/16 along each axis, 0.265 in all
    assert value("stimulus.above_half_nyquist", stimuli).item() == pytest.approx(1, abs=1e-4)
    straight = (0.5 + 0.2 * torch.cos(2 * torch.pi * 3 * place / 16)).expand(1, 3, 16, 16)
    assert value("stimulus.above_half_nyquist", straight).item() == pytest.approx(0, abs=1e-4)
    assert value("stimulus.above_half_nyquist", torch.full((1, 3, 4, 4), 0.7)).item() == 0


def test_distances_from_one_input_for_all_and_from_each_targets_own() -> None:
    stimuli = torch.tensor([[[0.0, 0.5]], [[1.0, 0.5]]])
    one, own = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.0, 1.0]], [[1.0, 0.5]]])
    assert value("stimulus.linf_distance", stimuli, one).tolist() == [0.5, 1.0]
    assert value("stimulus.linf_distance", stimuli, own).tolist() == [0.5, 0.0]
    assert value("stimulus.l1_distance", stimuli, one).tolist() == [0.5, 1.5]
    pixels = torch.zeros(1, 3, 2, 2)
    pixels[0, :, 0, 1] = 0.5
    assert value("stimulus.l0_distance", pixels, torch.zeros(1, 3, 2, 2)).tolist() == [1.0]


def test_unknown_measures_and_stimuli_without_neighbours() -> None:
    with pytest.raises(InvalidSpec, match=r"'stimulus.tvv'; did you mean 'stimulus.tv'"):
        measure("stimulus.tvv")
    with pytest.raises(InvalidSpec, match="expected stimuli with neighbours"):
        measure("stimulus.tv").check((3, 1, 1))
    with pytest.raises(ShapeMismatch, match="got none"):
        value("stimulus.l2_distance", torch.zeros(1, 1, 2))


def test_distances_need_a_generator_around_inputs() -> None:
    near = (Mean(("units:1",)) - Mean(("stimulus.linf_distance",)),)
    with pytest.raises(InvalidSpec, match="works around none; use one that does"):
        LocalEvaluator(Pixels((3, 8, 8)), Simulated(), near, 4)
    clean = torch.rand(2, 3, 8, 8).numpy()
    generator = Perturbation(clean, radius=0.25)
    evaluator = LocalEvaluator(generator, Simulated(), near * 2, 4)
    latents = torch.randn(2, 3, generator.space.dim)
    found = evaluator.submit(Rows.of(latents, [0, 1])).result()
    assert found.quantities[1] == ("units:1", "stimulus.linf_distance")
    stimuli = generator.render_targets(latents[1], torch.ones(3, dtype=torch.int64))
    expected = (stimuli - torch.from_numpy(clean[1])).abs().amax((1, 2, 3)).double().numpy()
    assert found.values[3:, 1].tolist() == expected.tolist()


@pytest.fixture
def net() -> TorchModule:
    torch.manual_seed(0)
    layers = (nn.Conv1d(1, 3, 3), nn.Flatten(), nn.Linear(18, 4))
    return TorchModule(nn.Sequential(*layers), (1, 8), device="cpu")


def test_a_penalty_is_a_term_of_the_objective_and_has_a_gradient(net: TorchModule) -> None:
    generator = Series(length=8, basis="samples", decay=0)
    penalised = Mean(("2:1",)) - 3 * Mean(("stimulus.roughness",))
    latents = torch.randn(1, 4, 8)
    evaluator = LocalEvaluator(generator, net, (penalised,), 4)
    found = evaluator.submit(Rows.of(latents, [0]), gradients=True).result()

    leaf = latents[0].clone().requires_grad_()
    stimuli = generator.render(leaf)
    logits = net.observe(stimuli, [Unit.parse("2:1")])[:, 0]
    score = logits - 3 * stimuli.diff(dim=2).square().mean((1, 2))
    (slopes,) = torch.autograd.grad(score.sum(), leaf)
    torch.testing.assert_close(found.gradients, slopes)
    scores = penalised.score(torch.from_numpy(found.values)).float()
    torch.testing.assert_close(scores, score.detach())


def test_an_objective_of_measures_alone_asks_no_model() -> None:
    class Silent(Simulated):
        def observe(self, stimuli: torch.Tensor, units: object) -> torch.Tensor:
            raise AssertionError("nobody asked")

    evaluator = LocalEvaluator(Pixels((3, 8, 8)), Silent(), (Mean(("stimulus.tv",)),), 4)
    found = evaluator.submit(Rows.of(torch.rand(1, 5, 192), [0])).result()
    assert found.values.shape == (5, 1)
    assert found.usage.rows == 0
