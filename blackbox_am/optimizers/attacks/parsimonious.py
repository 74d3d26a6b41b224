"""The parsimonious attack: a local search over the signs of blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from blackbox_am.core.optimizer import Optimizer, Proposal
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import changes_of, image_of, latents_of

BLOCKS = 8
"""Blocks in each direction at first if the size of a block is open: the paper's for CIFAR."""
SCANS = 2
"""Scans of a group of blocks: of those that are not turned, then of those that are."""


@dataclass
class ParsimoniousState:
    """State of K attacks.

    Attributes:
        change: (K, D) the best change so far, in units of the ball.
        score: (K,) float64, its score.
        known: (K,) bool, whether there is a score.
        lot: (K, D) numbers in [0, 1), which order the blocks of each size.
        side: (K,) int64, the side of a block.
        group: (K,) int64, the first place of the group of blocks in their order.
        scan: (K,) int64, 0 while blocks that are not turned are tried, 1 for the others.
        picking: (K,) bool, whether blocks are tried one after the other.
        turned: (K, D) bool, the turned blocks, by number.
        gain: (K, D) float64, the rise of the score if this block is turned, when last measured;
            the least number for a block that is not tried.
    """

    change: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor
    lot: torch.Tensor
    side: torch.Tensor
    group: torch.Tensor
    scan: torch.Tensor
    picking: torch.Tensor
    turned: torch.Tensor
    gain: torch.Tensor


LEAST = torch.finfo(torch.float64).min


@dataclass(frozen=True)
class Parsimonious(Optimizer[ParsimoniousState]):
    """Parsimonious attack: every value changes by the whole radius, and the signs of blocks are
    turned where the score rises, the block with the greatest rise first.

    Source: S. Moon, G. An and H. O. Song, "Parsimonious black-box adversarial attacks via efficient
    combinatorial optimization" (ICML 2019), Algorithms 1 to 3: a lazy greedy local search. For each
    group of `batch` blocks in random order, one generation measures each block turned alone. The
    block with the greatest rise is turned; then the block with the greatest rise when last measured
    is measured again, and turned if its rise is still the greatest, as long as there is a rise. The
    same follows for the turned blocks of the group, which are turned back. After all groups the
    blocks are halved in both directions, until a block is one value.

    This implementation differs in three things. It begins with the vertical stripes of the square
    attack, and a block keeps its stripes when it is turned; `ones` begins with the paper's signs of
    -1. A block whose rise was not positive when last measured is not measured again. The default of
    `batch` is for small budgets; the paper's is 64. Measured with a ResNet-20 on 20 images of
    CIFAR-10 (L-inf 8/255, budget 400), all succeed with a median of 45 queries.

    An input without height and width, such as a series or a row of a table, is one line: blocks are
    pieces of the line, and `stripes` are random signs.

    The space is a box around the input: `perturbation` with ``squash = false`` and ``linf``.

    Attributes:
        block: side of the first blocks, in pixels. None is an eighth of the longer side.
        batch: blocks of a group.
        start: the first change: `stripes`, a random sign for each channel and column, or `ones`.
    """

    name: ClassVar[str] = "parsimonious"
    copies: ClassVar[int] = 6
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[ParsimoniousState]] = ParsimoniousState
    begins_apart: ClassVar[bool] = True
    spaces: ClassVar[frozenset[str]] = frozenset({"box"})

    block: int | None = None
    batch: int = 16
    start: Literal["stripes", "ones"] = "stripes"

    def __post_init__(self) -> None:
        at_least(1, "it is a number of pixels", block=self.block)
        at_least(1, "a group needs a block", batch=self.batch)

    def population_size(self, space: Space) -> int:
        return min(self.batch, space.dim)

    def init(self, space: Space, targets: int, stream: Stream) -> ParsimoniousState:
        image = image_of(space)
        signs = _squares.stripes(image, stream).flatten(1)
        if self.start == "ones":
            signs = -torch.ones_like(signs)
        lot = stream.uniform(space.dim)
        number = torch.zeros(targets, dtype=torch.int64, device=stream.device)
        side = self.block or max(max(image[1:]) // BLOCKS, 1)
        none = torch.zeros_like(lot, dtype=torch.bool)
        return ParsimoniousState(
            change=signs,
            score=torch.zeros(targets, dtype=torch.float64, device=stream.device),
            known=number > 0,
            lot=lot,
            side=number + side,
            group=number,
            scan=number.clone(),
            picking=number > 0,
            turned=none,
            gain=torch.full_like(lot, LEAST, dtype=torch.float64),
        )

    def started_at(
        self, space: Space, state: ParsimoniousState, latents: torch.Tensor
    ) -> ParsimoniousState:
        return replace(state, change=changes_of(space, latents).to(state.change.dtype))

    def ask(self, space: Space, state: ParsimoniousState, stream: Stream) -> Proposal:
        del stream
        blocks, wanted = self._asked(space, state)
        mine = self._places(space, state.side)[:, None] == blocks[..., None]
        # The first change is measured before a block of it is turned.
        turned = mine & state.known[:, None, None]
        change = state.change.unsqueeze(1)
        return Proposal(latents_of(space, torch.where(turned, -change, change)), wanted)

    def tell(
        self,
        space: Space,
        state: ParsimoniousState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> ParsimoniousState:
        del latents, gradients
        blocks, wanted = self._asked(space, state)
        first = ~state.known & ~scores[:, 0].isnan()
        rise = comparable(scores) - state.score[:, None]
        rise = torch.where(scores.isnan(), LEAST, rise.clamp(LEAST, -LEAST))
        # A scatter with a trash column keeps unwanted rows out.
        index = torch.where(wanted & state.known[:, None], blocks, space.dim)
        padded = torch.cat([state.gain, state.gain[:, :1]], dim=1)
        gain = padded.scatter(1, index, rise)[:, :-1]
        state = self._turned_best(space, replace(state, gain=gain), index)
        state = self._advanced(space, state)
        return replace(
            state,
            score=torch.where(first, comparable(scores[:, 0]), state.score),
            known=state.known | first,
        )

    def _turned_best(
        self, space: Space, state: ParsimoniousState, measured: torch.Tensor
    ) -> ParsimoniousState:
        """`state` with the best block turned, if it is one of the `measured` (K, P) blocks and the
        score rises.
        """
        most, best = state.gain.max(1)
        turns = state.known & (most > 0) & (measured == best[:, None]).any(1)
        mine = (self._places(space, state.side) == best[:, None]) & turns[:, None]
        one = (torch.arange(space.dim, device=best.device) == best[:, None]) & turns[:, None]
        return replace(
            state,
            change=torch.where(mine, -state.change, state.change),
            score=torch.where(turns, state.score + most, state.score),
            turned=state.turned ^ one,
            gain=torch.where(one, LEAST, state.gain),
            picking=state.picking | state.known,
        )

    def _advanced(self, space: Space, state: ParsimoniousState) -> ParsimoniousState:
        """`state` in the next scan, group and size of blocks where no block promises a rise."""
        # Of the scans of a group one at least has blocks.
        for _ in range(SCANS):
            empty = ~self._members(space, state)[1].any(1)
            ended = state.known & torch.where(state.picking, state.gain.amax(1) <= 0, empty)
            scan = state.scan + ended
            past = scan >= SCANS
            group = torch.where(past, state.group + self.population_size(space), state.group)
            all_done = group >= self._count(space, state.side)
            side = torch.where(all_done, (state.side // 2).clamp(min=1), state.side)
            state = replace(
                state,
                scan=torch.where(past, 0, scan),
                group=torch.where(all_done, 0, group),
                side=side,
                turned=state.turned & ~all_done[:, None],
                picking=state.picking & ~ended,
                gain=torch.where(ended[:, None], LEAST, state.gain),
            )
        return state

    def _asked(self, space: Space, state: ParsimoniousState) -> tuple[torch.Tensor, torch.Tensor]:
        """(K, P) int64 and bool: the numbers of the blocks that are turned, each in one row, and
        which rows are wanted.
        """
        blocks, members = self._members(space, state)
        single = torch.zeros_like(members)
        single[:, 0] = True
        best = state.gain.argmax(1)[:, None].expand_as(blocks)
        alone = (state.picking | ~state.known)[:, None]
        return torch.where(alone, best, blocks), torch.where(alone, single, members)

    def _members(self, space: Space, state: ParsimoniousState) -> tuple[torch.Tensor, torch.Tensor]:
        """(K, P) int64 and bool: the blocks of the group, and which of them the scan tries."""
        number = torch.arange(space.dim, device=state.side.device)
        count = self._count(space, state.side)[:, None]
        order = (state.lot.to(torch.float64) + (number >= count)).argsort(dim=1, stable=True)
        place = state.group[:, None] + number[: self.population_size(space)]
        blocks = order.gather(1, place.clamp(max=space.dim - 1))
        turned = state.turned.gather(1, blocks)
        return blocks, (place < count) & (turned == (state.scan == 1)[:, None])

    def _count(self, space: Space, side: torch.Tensor) -> torch.Tensor:
        """(K,) int64: the number of blocks of this side (K,)."""
        channels, height, width = image_of(space)
        return channels * _parts(height, side) * _parts(width, side)

    def _places(self, space: Space, side: torch.Tensor) -> torch.Tensor:
        """(K, D) int64: the number of the block of each value, for blocks of this side (K,)."""
        channels, height, width = image_of(space)
        sides = side[:, None, None, None]
        rows, columns = (_parts(n, side)[:, None, None, None] for n in (height, width))
        channel = torch.arange(channels, device=side.device)[:, None, None]
        row = torch.arange(height, device=side.device)[:, None] // sides
        column = torch.arange(width, device=side.device) // sides
        return ((channel * rows + row) * columns + column).flatten(1)


def _parts(length: int, side: torch.Tensor) -> torch.Tensor:
    """(K,) int64: pieces of at most `side` (K,) that a length has."""
    return -(-length // side)
