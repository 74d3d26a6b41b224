"""What the network of the test server says."""

from collections.abc import Callable

import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.oracles.inference_protocol import InferenceProtocol

Of = Callable[..., InferenceProtocol]
X = torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))
UNITS = [Unit("logits", 3), Unit("conv.maps", 2, (1, 3)), Unit("logits", 0), Unit("conv.maps", 1)]


def expected(stimuli: torch.Tensor) -> torch.Tensor:
    """(N, U) of what the server's network says of `UNITS`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))
    with torch.no_grad():
        maps = net[:2](stimuli)
        logits = net[2:](maps)
    columns = (logits[:, 3], maps[:, 2, 1, 3], logits[:, 0], maps[:, 1].mean((1, 2)))
    return torch.stack(columns, 1)


def same(answer: torch.Tensor, stimuli: torch.Tensor = X) -> None:
    torch.testing.assert_close(answer.float(), expected(stimuli), rtol=1e-4, atol=1e-5)
