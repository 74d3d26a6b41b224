"""NAdam equals that of torch."""

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.gradient.nadam import Nadam
from blackbox_am.plugins import optimizers
from blackbox_am.testing.searches import Search


@pytest.mark.parametrize(("beta1", "decay"), [(0.9, 0.0), (0.8, 0.2)])
def test_equals_torch(beta1: float, decay: float) -> None:
    space = build_space(SpaceSpec("normal", 6))
    optimizer = Nadam(population=3, learning_rate=0.07, beta1=beta1, beta2=0.99, decay=decay)
    search = Search(optimizer, space, targets=(1,), dtype=torch.float64)
    theirs = search.ask()[0].clone().requires_grad_()
    reference = torch.optim.NAdam(
        [theirs],
        lr=0.07,
        betas=(beta1, 0.99),
        weight_decay=decay,
        momentum_decay=optimizer.momentum_decay,
        decoupled_weight_decay=True,
    )
    for _ in range(50):
        reference.zero_grad()
        (theirs - 0.4).square().sum().backward()
        reference.step()
    search.run(50)
    torch.testing.assert_close(search.ask()[0], theirs.detach())


def test_reaches_the_top() -> None:
    search = Search(Nadam(learning_rate=0.05), build_space(SpaceSpec("normal", 16)))
    search.run(400)
    assert search.scores(search.ask()).min() > -5e-3


def test_wrong_momentum_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="momentum_decay must be positive and finite, got 0"):
        optimizers.build("nadam", {"momentum_decay": 0.0})
