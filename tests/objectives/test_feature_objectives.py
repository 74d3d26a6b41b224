"""The objectives of feature visualisation compute what their sources say."""

import math

import numpy as np
import pytest
import torch

from blackbox_am.core.objective import Objective
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.evaluation import LocalEvaluator, Rows
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.deepdream import Deepdream
from blackbox_am.objectives.direction import Direction
from blackbox_am.objectives.interpolation import Interpolation
from blackbox_am.objectives.similarity import Similarity
from blackbox_am.oracles.torch.torch_module import TorchModule

UNITS = ("conv:0", "conv:1", "conv:2")


def test_a_direction_is_the_product_times_a_power_of_the_cosine() -> None:
    values = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [-1.0, 0.0, 0.0]])
    vector = (3.0, 4.0, 12.0)
    np.testing.assert_allclose(Direction(UNITS, vector).score(values), [25, 24, -3])
    squared = Direction(UNITS, vector, power=2).score(values)
    expected = [25 * (25 / (5 * 13)) ** 2, 24 * (24 / (2 * 13)) ** 2, -3 * 0.1**2]
    np.testing.assert_allclose(squared, expected)


def test_a_direction_has_a_finite_slope_at_no_activation() -> None:
    zero = torch.zeros(1, 3, requires_grad=True)
    for power in (0.0, 1.0, 2.5):
        score = Direction(UNITS, (1.0, 2.0, 3.0), power=power).score(zero)
        (slope,) = torch.autograd.grad(score.sum(), zero)
        assert slope.isfinite().all()
    assert Similarity(UNITS, ((1.0, 2.0, 3.0),)).score(zero).isfinite().all()


def test_similarity_is_the_cosine_with_the_nearest() -> None:
    references = ((1.0, 0.0, 0.0), (0.0, 3.0, 4.0))
    values = np.array([[2.0, 0.0, 0.0], [0.0, 6.0, 8.0], [0.0, -3.0, -4.0]])
    found = Similarity(UNITS, references).score(values)
    np.testing.assert_allclose(found, [1, 1, 0], atol=1e-9)


def test_interpolation_goes_from_one_unit_to_the_other() -> None:
    values = np.array([2.0, 10.0])
    pair = ("fc:0", "conv:1")
    assert [float(Interpolation(pair, t=t).score(values)) for t in (0, 0.25, 1)] == [2, 4, 10]


def test_deepdream_reads_the_squares_of_units_and_of_whole_layers() -> None:
    assert Deepdream(("conv", "conv:1", "fc:2@cls")).quantities == (
        "conv!square",
        "conv:1!square",
        "fc:2@cls!square",
    )
    assert Deepdream(("conv!square",)) == Deepdream(("conv",))


def test_deepdream_of_a_layer_is_its_mean_square_and_has_its_gradient() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.ReLU(inplace=True))
    oracle = TorchModule(net, (3, 8, 8), device="cpu")
    targets: tuple[Objective, ...] = (Deepdream(("0",)), Deepdream(("0:4",)))
    evaluator = LocalEvaluator(Pixels((3, 8, 8)), oracle, targets, 4)
    latents = torch.rand(2, 3, 192)
    found = evaluator.submit(Rows.of(latents, [0, 1]), gradients=True).result()
    leaf = latents.clone().requires_grad_()
    maps = net[0](leaf.reshape(6, 3, 8, 8))
    expected = torch.cat([maps[:3].square().mean((1, 2, 3)), maps[3:, 4].square().mean((1, 2))])
    np.testing.assert_allclose(found.values[:, 0], expected.detach().numpy(), rtol=1e-5)
    (slopes,) = torch.autograd.grad(expected.sum(), leaf)
    assert found.gradients is not None
    torch.testing.assert_close(found.gradients, slopes.reshape(6, 192), rtol=1e-4, atol=1e-7)


def test_squares_of_single_numbers_and_of_places() -> None:
    torch.manual_seed(0)
    net = torch.nn.Conv2d(1, 4, 3)
    oracle = TorchModule(net, (1, 5, 5), device="cpu")
    stimuli = torch.rand(3, 1, 5, 5)
    layer = oracle.describe().layers[0].name
    maps = net(stimuli).detach()
    asked = [Unit(layer, 2, (1, 1), "square"), Unit(layer, None, (1, 1), "square")]
    answer = oracle.observe(stimuli, asked)
    torch.testing.assert_close(answer[:, 0], maps[:, 2, 1, 1].square())
    torch.testing.assert_close(answer[:, 1], maps[:, :, 1, 1].square().mean(1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Direction(UNITS, (1.0, 2.0)), "a vector of 3 numbers, one for each quantity"),
        (lambda: Direction(UNITS), "3 numbers, one for each quantity, got 0"),
        (lambda: Direction(UNITS, (0.0, 0.0, 0.0)), "not all 0"),
        (lambda: Direction(UNITS, (1.0, math.nan, 0.0)), "finite"),
        (lambda: Direction(UNITS, (1.0, 0.0, 0.0), power=-1), "a power of 0 or more"),
        (lambda: Similarity(UNITS), "one stimulus or more"),
        (lambda: Similarity(UNITS, ((1.0, 2.0),)), "reference 0: expected a vector of 3"),
        (lambda: Deepdream(("conv!max",)), "without another reduction"),
        (lambda: Deepdream(("stimulus.tv",)), "got 'stimulus.tv'"),
        (lambda: Interpolation(UNITS), "expected two quantities, got 3"),
        (lambda: Interpolation(UNITS[:2], t=1.5), "t from 0 to 1, got 1.5"),
    ],
)
def test_what_is_refused(build: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        build()  # type: ignore[operator]


def test_bad_addresses() -> None:
    with pytest.raises(InvalidInput, match="not a unit"):
        Direction(("a:b",), (1.0,))


@pytest.mark.parametrize(
    ("objective", "title"),
    [
        (Direction(UNITS, (1, 0, 0)), "direction in 3 units, conv:0 to conv:2"),
        (Direction(UNITS, (1, 0, 0), power=2), "direction in 3 units, conv:0 to conv:2, cosine^2"),
        (Deepdream(("conv", "fc:1")), "mean square of conv, fc:1"),
        (Interpolation(("fc:0", "fc:1"), t=0.25), "0.75*fc:0 + 0.25*fc:1"),
        (
            Similarity(UNITS, ((1, 0, 0),)),
            "similarity to 1 given stimulus in 3 units, conv:0 to conv:2",
        ),
    ],
)
def test_titles(objective: Objective, title: str) -> None:
    assert str(objective) == title
