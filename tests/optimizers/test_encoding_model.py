"""The encoding model: what its readout learns, what it gains, and what a bad network costs."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import Capability, LayerInfo, OracleInfo
from blackbox_am.optimizers._surrogate import surrogate
from blackbox_am.testing.local_models import STIMULUS, Canvas, tiny_network

SPACE = build_space(SpaceSpec("normal", 32))
CANVAS = Canvas(SPACE.spec)
TARGETS = range(8)


@dataclass(frozen=True)
class Liar(Oracle):
    """Features that are no help, one a target: those of `_hidden`, told wrongly.

    Attributes:
        lie: `slope` reverses gradients and tells values truly; `value` tells values that have
            nothing to do with the stimulus but for changing with it.
    """

    kind: ClassVar[str] = "liar"

    lie: str

    def describe(self) -> OracleInfo:
        layer = LayerInfo("told", "scores", (len(TARGETS),), ("unit",))
        return OracleInfo(self.kind, Capability.GRADIENTS, STIMULUS, (layer,))

    def observe(self, stimuli: torch.Tensor, units: Any) -> torch.Tensor:
        values = torch.stack([_hidden(stimuli, target) for target in TARGETS], 1)
        if self.lie == "slope":
            told = 2 * values.detach() - values
        else:
            told = torch.sin(1e3 * values)
        return told[:, [unit.index for unit in units]]


def _hidden(stimuli: torch.Tensor, target: int) -> torch.Tensor:
    """(N,) what a target responds to: a mixture of the tiny network's channels, and a little of
    something that the network does not see.
    """
    units = surrogate("t", "t", (), CANVAS, lambda _: tiny_network()).units
    mixture = torch.randn(len(units), 2, generator=torch.Generator().manual_seed(target))
    features = tiny_network().observe(stimuli, units) @ mixture
    unseen = torch.randn(stimuli[0].numel(), generator=torch.Generator().manual_seed(target + 99))
    return features[:, 0] - features[:, 1].square() + 0.005 * stimuli.flatten(1) @ unseen


def _best(
    name: str, network: Oracle | None, queries: int, space: Space = SPACE, **parameters: Any
) -> tuple[torch.Tensor, Any]:
    """(8, generations) the best score of each target by then, and the last state."""
    optimizer = plugins.optimizers.build(name, parameters)
    optimizer = optimizer.equipped(CANVAS, lambda _: network or tiny_network())
    state = optimizer.init(space, len(TARGETS), Stream(3, "init", 0, TARGETS))
    curve = []
    for generation in range(queries // 20):
        latents = optimizer.ask(space, state, Stream(3, "ask", generation, TARGETS))
        pairs = zip(latents, TARGETS, strict=True)
        scores = torch.stack([_hidden(CANVAS.render(rows), k) for rows, k in pairs])
        curve.append(scores.amax(1))
        state = optimizer.tell(space, state, latents, scores)
    return torch.stack(curve, 1).cummax(1).values, state


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    return _best("snes", None, 600)[0]


def test_needs_half_the_queries_where_the_network_knows_what_counts(plain: torch.Tensor) -> None:
    guided, _ = _best("encoding_model", None, 300)
    assert (guided[:, -1] >= plain[:, -1]).float().mean() > 0.5


@pytest.mark.parametrize("screening", [1, 4])
@pytest.mark.parametrize("lie", ["slope", "value"])
def test_a_network_that_misleads_costs_next_to_nothing(
    lie: str, screening: int, plain: torch.Tensor
) -> None:
    misled, state = _best("encoding_model", Liar(lie), 600, screening=screening)
    first = plain[:, :1]
    gained = (misled[:, -1:] - first) / (plain[:, -1:] - first)
    assert gained.median() > 0.95
    assert (state.share < 0.1).float().mean() > 0.5, "it goes on climbing what misleads it"
