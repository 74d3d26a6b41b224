"""Steps of a fixed length along the gradient."""

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.gradient.sgd import Sgd
from blackbox_am.plugins import optimizers
from blackbox_am.testing.searches import Search


def test_equals_a_plain_loop() -> None:
    space = build_space(SpaceSpec("normal", 9))
    search = Search(Sgd(learning_rate=0.05, momentum=0.7), space, targets=(0,), dtype=torch.float64)
    x = search.ask()[0].clone()
    mean = torch.zeros_like(x)
    for _ in range(40):
        slope = -2 * (x - 0.3)
        mean = 0.7 * mean + 0.3 * slope / slope.norm(dim=-1, keepdim=True)
        x = x + 0.05 * 3 * mean  # the root of 9 dimensions
    search.run(40)
    torch.testing.assert_close(search.ask()[0], x)


def test_steps_do_not_depend_on_the_scale_of_the_score() -> None:
    space = build_space(SpaceSpec("normal", 5))
    search = Search(Sgd(), space, targets=(0,))
    start = search.ask()
    slopes = torch.linspace(-1, 1, 5).expand_as(start)
    moved = []
    for scale in (1e-30, 1.0, 1e15):
        state = search.optimizer.tell(
            space, search.state, start, search.scores(start), scale * slopes
        )
        moved.append(state.position)
    torch.testing.assert_close(moved[0], moved[1])
    torch.testing.assert_close(moved[2], moved[1])


def test_no_gradient_is_no_step() -> None:
    space = build_space(SpaceSpec("normal", 5))
    search = Search(Sgd(), space, targets=(0,))
    start = search.ask()
    flat = torch.zeros_like(start)
    state = search.optimizer.tell(space, search.state, start, search.scores(start), flat)
    assert torch.equal(state.position, start)


def test_wrong_momentum_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"momentum must be in \[0, 1\), got 1.0"):
        optimizers.build("sgd", {"momentum": 1.0})
