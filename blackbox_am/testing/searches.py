"""Searches without a study: optimizers in small spaces, for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from blackbox_am.core import state as states
from blackbox_am.core.linear_algebra import ALIGNMENT
from blackbox_am.core.optimizer import Optimizer, Proposal, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.testing.local_models import Canvas, tiny_network

SPACES: tuple[SpaceSpec, ...] = (
    SpaceSpec("normal", 7, image_shape=(1, 1, 7)),
    SpaceSpec("sphere", 6),
    SpaceSpec("sphere", 5, radius=3.0),
    SpaceSpec("box", 5, low=(-1.0,), high=(0.0, 1.0, 2.0, 3.0, 4.0)),
    SpaceSpec("categorical", 6, categories=4),
    SpaceSpec(
        "product",
        8,
        parts=(SpaceSpec("normal", 5), SpaceSpec("box", 3, low=(0.0,), high=(1.0,))),
    ),
    SpaceSpec(
        "product",
        6,
        parts=(
            SpaceSpec("box", 2, low=(0.0,), high=(1.0,)),
            SpaceSpec("categorical", 2, categories=4),
            SpaceSpec("sphere", 2),
        ),
    ),
    SpaceSpec(
        "product",
        5,
        parts=(
            SpaceSpec("categorical", 2, categories=3),
            SpaceSpec("categorical", 3, categories=8),
        ),
    ),
)
"""Small spaces of every kind, products of numbers, of numbers and codes, and of codes alone."""

DEVICE = "cpu"
"""Where a `Search` computes unless it is told otherwise; the contract suite sets it."""

SEARCH_CONTEXT = SearchContext(queries_per_target=2000, targets=3)
"""What the tested optimizers are told about their study."""

Scores = Callable[[torch.Tensor, int], torch.Tensor]
"""Scores (P,) of latents (P, D) for a target of this number."""


def searchable(optimizer: Optimizer[Any]) -> list[Space]:
    """The spaces of `SPACES` that `optimizer` does not refuse."""
    return [space for space in map(build_space, SPACES) if not refusal(optimizer, space)]


def refusal(optimizer: Optimizer[Any], space: Space) -> str:
    """Why `optimizer` will not search `space`, or an empty string."""
    try:
        optimizer.check(space)
    except Unsupported as error:
        return error.message
    return ""


def quadratic(latents: torch.Tensor, target: int) -> torch.Tensor:
    """A hill whose top is elsewhere for each target."""
    return -(latents.to(torch.float64) - _top(target)).square().sum(-1)


def _slope(latents: torch.Tensor, target: int) -> torch.Tensor:
    return (-2 * (latents.to(torch.float64) - _top(target))).to(latents.dtype)


def _top(target: int) -> float:
    return 0.3 + 0.1 * target


@dataclasses.dataclass
class Search:
    """A search by an optimizer, as a study would run it. The optimizer is bound to a tiny generator
    and to a tiny network, which stands for every name of a network.

    Attributes:
        optimizer: the optimizer under test.
        space: the space that it searches.
        targets: numbers of the K targets, which set their random numbers and their hills.
        score: the score to maximise.
        dtype: of latents and states.
        seed: of all random numbers.
        device: of latents and states; `DEVICE` where empty.
        start: (K, D) latents at which the search begins; None for the prior.
    """

    optimizer: Optimizer[Any]
    space: Space
    targets: tuple[int, ...] = (0, 1, 2)
    score: Scores = quadratic
    dtype: torch.dtype = torch.float32
    seed: int = 11
    device: str = ""
    start: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.device = self.device or DEVICE
        self.optimizer = self.optimizer.resolve(self.space, SEARCH_CONTEXT)
        self.generation = 0
        self.told: list[torch.Tensor] = []
        self.optimizer = self.optimizer.bind(Canvas(self.space.spec), lambda _: tiny_network())
        self.state = self.optimizer.init(self.space, len(self.targets), self.stream("init"))
        if self.start is not None:
            self.state = self.optimizer.started_at(self.space, self.state, self.start)

    def ask(self) -> torch.Tensor:
        """(K, P, D), as the optimizer proposed it."""
        return self.propose().latents

    def propose(self) -> Proposal:
        """The latents of P rows and which of them are wanted."""
        asked = Proposal.of(self.optimizer.ask(self.space, self.state, self.stream("ask")))
        first = self.start is not None and self.generation == 0
        asked = asked.padded(self.optimizer.population_size(self.space))
        return asked.led_by(self.start) if first and self.start is not None else asked

    def center(self) -> torch.Tensor | None:
        """(K, D) the optimizer's centre, if it has one."""
        return self.optimizer.center(self.space, self.state)

    def tell(
        self, latents: torch.Tensor, scores: torch.Tensor, rows: torch.Tensor | None = None
    ) -> None:
        """Ends a generation, with its rows in the order `rows` where that is given."""
        gradients = torch.stack(
            [_slope(x, target) for x, target in zip(latents, self.targets, strict=True)]
        )
        every = torch.arange(latents.shape[1], device=latents.device)
        order = every if rows is None else rows.to(latents.device)
        self.state = self.optimizer.tell(
            self.space,
            self.state,
            latents[:, order],
            scores[:, order],
            gradients[:, order] if self.optimizer.order == 1 else None,
        )
        self.generation += 1

    def scores(self, latents: torch.Tensor) -> torch.Tensor:
        """(K, P), each target by itself."""
        pairs = zip(latents, self.targets, strict=True)
        return torch.stack([self.score(x, target) for x, target in pairs])

    def run(self, generations: int) -> list[torch.Tensor]:
        """The latents of every generation so far, after `generations` more."""
        for _ in range(generations):
            proposal = self.propose()
            latents = self.space.project(proposal.latents)
            self.told.append(latents)
            self.tell(latents, self.scores(latents).masked_fill(~proposal.mask(), torch.nan))
        return self.told

    def keep(self, positions: Sequence[int]) -> Any:
        """Drops every target but those at `positions`. Returns the state of them all."""
        whole = self.state
        self.targets = tuple(self.targets[i] for i in positions)
        self.state = states.select(self.state, torch.tensor(positions))
        return whole

    def stream(self, purpose: str) -> Stream:
        """The random numbers of this generation for one `purpose`."""
        return Stream(
            self.seed,
            purpose,
            self.generation,
            self.targets,
            device=self.device,
            dtype=self.dtype,
        )


def copy_of(state: Any) -> Any:
    """A state that shares no memory with `state`, but for live objects."""
    copies = {name: tensor.clone() for name, tensor in states.arrays(state).items()}
    return states.build(type(state), copies, states.sessions(state))


class NoStream(Stream):
    """A stream of the device `meta`: shapes and dtypes without numbers.

    Args:
        targets: numbers of the targets.
        dtype: of what is drawn.
    """

    def __init__(self, targets: Sequence[int], dtype: torch.dtype) -> None:
        super().__init__(0, "meta", 0, targets, dtype=dtype)
        self.device = torch.device("meta")

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.empty(len(self.targets), *shape, device=self.device, dtype=self.dtype)

    def uniform(self, *shape: int) -> torch.Tensor:
        return self.normal(*shape)

    def integers(self, high: int, *shape: int) -> torch.Tensor:
        del high
        return self.normal(*shape).to(torch.int64)


class NoCopies(TorchFunctionMode):
    """Inside, no tensor of the CPU is copied to the device `meta`, and no list of numbers becomes a
    tensor there: on a CUDA device both would wait for the device.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.device.type == "meta":
            copied = (
                func in (torch.Tensor.to, torch.Tensor.type_as) and args[0].device.type == "cpu"
            )
            assert not copied, "a tensor of the CPU is copied to the device of the search"
            numbers = func in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor)
            assert not numbers, "numbers of the CPU become a tensor on the device of the search"
        return found


def displaced(tensor: torch.Tensor, offset: int) -> torch.Tensor:
    """A copy of `tensor`, contiguous, that begins `offset` bytes behind a multiple of 64 bytes;
    the offset is rounded up to whole elements.
    """
    size = tensor.element_size()
    offset = -(-offset // size) * size
    memory = torch.empty(
        tensor.numel() * size + offset + 2 * ALIGNMENT, dtype=torch.uint8, device=tensor.device
    )
    start = -memory.data_ptr() % ALIGNMENT + offset
    copy = memory[start : start + tensor.numel() * size].view(tensor.dtype).view(tensor.shape)
    return copy.copy_(tensor)


def displaced_state(state: Any, offset: int) -> Any:
    """`state` with every tensor at an address `offset` bytes behind a multiple of 64 bytes."""
    moved = {name: displaced(tensor, offset) for name, tensor in states.arrays(state).items()}
    return states.build(type(state), moved, states.sessions(state))


def same(state: Any, other: Any) -> bool:
    """Whether two states are equal to the last bit, as far as they are tensors."""
    pairs = zip(states.arrays(state).values(), states.arrays(other).values(), strict=True)
    return all(
        a.shape == b.shape and a.cpu().numpy().tobytes() == b.cpu().numpy().tobytes()
        for a, b in pairs
    )


def equal(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Whether both are tensors with equal elements."""
    return one is not None and other is not None and torch.equal(one, other)


def finite(state: Any) -> bool:
    """Whether no tensor of `state` holds nan or infinities."""
    return all(bool(tensor.isfinite().all()) for tensor in states.arrays(state).values())
