"""The pull of the mean to the prior's, in every strategy that has it."""

from typing import Any

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.testing.searches import Search

STRATEGIES = ("cma", "sep_cma", "snes", "xnes", "cholesky_cma", "open_es")


def climbing(name: str, space: Any, **parameters: Any) -> Search:
    """A search for ever larger first coordinates."""
    optimizer = plugins.optimizers.build(name, parameters)
    return Search(optimizer, space, targets=(0,), score=lambda x, _: x[:, 0], dtype=torch.float64)


@pytest.mark.parametrize("name", STRATEGIES)
def test_takes_its_share_of_the_mean(name: str) -> None:
    space = build_space(SpaceSpec("normal", 8))
    free, pulled = climbing(name, space), climbing(name, space, prior_pull=0.25)
    for search in (free, pulled):
        search.run(1)
    torch.testing.assert_close(pulled.state.mean, 0.75 * free.state.mean)


@pytest.mark.parametrize("name", STRATEGIES)
def test_keeps_latents_near_where_longer_ones_always_score_higher(name: str) -> None:
    space = build_space(SpaceSpec("normal", 8))
    free, pulled = climbing(name, space), climbing(name, space, prior_pull=0.3, sigma=0.2)
    for search in (free, pulled):
        search.run(40)
    assert pulled.state.mean[0, 0] > 0.1
    assert pulled.state.mean.norm() < 0.5 * free.state.mean.norm()


def test_pulls_to_the_middle_of_a_box() -> None:
    space = build_space(SpaceSpec("box", 4, low=(2.0,), high=(4.0,)))
    search = climbing("snes", space, prior_pull=1.0)
    search.run(5)
    assert torch.equal(search.state.mean, torch.zeros(1, 4, dtype=torch.float64))
    assert (search.told[-1] - 3).abs().amax() <= 1


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_is_a_share(name: str, value: float) -> None:
    with pytest.raises(InvalidSpec, match=r"prior_pull must be in \[0, 1\]"):
        plugins.optimizers.build(name, {"prior_pull": value})
