"""The published recipe of DGN-AM: normalised steps, clipping, decay, the last iterate."""

import pytest
import torch
from torch import nn

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.gradient.dgn_am import DgnAm
from blackbox_am.plugins import optimizers
from blackbox_am.testing.searches import Search


def test_is_the_second_step_of_the_published_program() -> None:
    """A normalised step in pixels, pulled back through a generator and normalised again, has the
    direction of the gradient of the score with respect to the code.
    """
    torch.manual_seed(3)
    generator = nn.Sequential(nn.Linear(7, 30), nn.Tanh(), nn.Linear(30, 48)).double()
    network = nn.Sequential(nn.Linear(48, 20), nn.Tanh(), nn.Linear(20, 1)).double()
    code = torch.randn(7, dtype=torch.float64, requires_grad=True)
    picture = generator(code)
    (pixels,) = torch.autograd.grad(network(picture).sum(), picture, retain_graph=True)
    move = 8.0 * pixels / pixels.abs().mean()
    (pulled,) = torch.autograd.grad(picture, code, grad_outputs=move)
    published = 0.3 * pulled / pulled.abs().mean()
    (slope,) = torch.autograd.grad(network(generator(code)).sum(), code)

    space = build_space(SpaceSpec("normal", 7))
    search = Search(
        DgnAm(learning_rate=0.3, decay=1.0, limit=100.0), space, (0,), dtype=torch.float64
    )
    start = code.detach().view(1, 1, 7)
    state = search.optimizer.tell(
        space, search.state, start, torch.zeros(1, 1), slope.view(1, 1, 7)
    )
    torch.testing.assert_close((state.position - start)[0, 0], published)


def test_equals_a_plain_loop() -> None:
    space = build_space(SpaceSpec("normal", 9))
    search = Search(
        DgnAm(learning_rate=8.0, steps=20, population=2), space, targets=(0,), dtype=torch.float64
    )
    x = search.ask()[0].clone()
    for t in range(20):
        slope = -2 * (x - 0.3)
        rate = 8.0 + (8e-10 - 8.0) * t / 20
        x = (x + rate * slope / slope.abs().mean(-1, keepdim=True)).clamp(-3, 3) * 0.99
    search.run(20)
    torch.testing.assert_close(search.ask()[0], x)


def test_codes_are_clipped_to_the_bounds_of_a_box() -> None:
    """The box of a generator with the limits 0 and mean + 3 deviations for each coordinate."""
    high = (1.0, 4.0, 0.5)
    space = build_space(SpaceSpec("box", 3, low=(0.0,), high=high))
    search = Search(
        DgnAm(learning_rate=80.0, steps=50), space, targets=(0,), score=lambda x, _: x.sum(-1)
    )
    start = search.ask()
    upwards = torch.ones_like(start)
    state = search.optimizer.tell(space, search.state, start, torch.zeros(1, 1), upwards)
    there = search.optimizer.ask(space, state, search.stream("ask"))[0, 0]
    middle = torch.tensor(high) / 2
    torch.testing.assert_close(there, middle + 0.99 * middle)


def test_the_decay_pulls_to_zero_as_published() -> None:
    space = build_space(SpaceSpec("box", 3, low=(0.0,), high=(1.0, 4.0, 0.5)))
    optimizer = DgnAm(learning_rate=80.0, steps=50, towards="zero")
    search = Search(optimizer, space, targets=(0,), score=lambda x, _: x.sum(-1))
    start = search.ask()
    for slope, reached in ((1.0, (0.99, 3.96, 0.495)), (-1.0, (0.0, 0.0, 0.0))):
        slopes = torch.full_like(start, slope)
        state = search.optimizer.tell(space, search.state, start, torch.zeros(1, 1), slopes)
        there = search.optimizer.ask(space, state, search.stream("ask"))[0, 0]
        torch.testing.assert_close(there, torch.tensor(reached))


def test_centre_is_the_last_iterate_and_not_the_best_row() -> None:
    space = build_space(SpaceSpec("normal", 4))
    search = Search(DgnAm(steps=10), space, targets=(0,))
    for generation in range(10):
        latents = search.ask()
        search.tell(latents, torch.tensor([[10.0 if generation == 2 else 0.0]]))
    torch.testing.assert_close(search.center(), search.ask()[:, 0])


@pytest.mark.parametrize(("parameter", "value"), [("decay", 1.1), ("limit", 0.0)])
def test_wrong_parameters_are_refused(parameter: str, value: float) -> None:
    with pytest.raises(InvalidSpec, match=f"{parameter} must be"):
        optimizers.build("dgn_am", {parameter: value})


def test_a_decay_goes_to_the_mean_or_to_zero() -> None:
    with pytest.raises(InvalidSpec, match="towards"):
        optimizers.build("dgn_am", {"towards": "one"})
