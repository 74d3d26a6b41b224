"""Patches: random search for the place and the colours of one square of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._parameters import at_least, share
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import changes_of, image_of, latents_of
from blackbox_am.optimizers.attacks._one_query import (
    SCHEDULE_BUDGET,
    Incumbent,
    InSparseBall,
    begun,
    in_schedule,
    kept,
)

EDGES = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Queries of a budget of 10,000 after which the share of new colours halves, as in `square`."""
_EDGES = Constants(lambda: (torch.tensor(EDGES),))


@dataclass(frozen=True)
class Patch(InSparseBall):
    """An adversarial patch for each image: one query a generation, which either moves the patch or
    gives a square of it new colours; the change is kept if the score does not fall.

    Source of the scheme: F. Croce, M. Andriushchenko, N. D. Singh, N. Flammarion and M. Hein,
    "Sparse-RS: a versatile framework for query-efficient sparse black-box adversarial attacks"
    (AAAI 2022), the image-specific patches: random search over the place and the content, whose
    colours are corners of the colour cube and change in squares. Here, every `period`-th query
    moves the patch by at most a range that falls from the image's size to one pixel at half of the
    budget; the others paint a square inside of the patch, which begins with a share `share` of it
    and shrinks by the schedule of `square`, scaled to the study's budget. The first colours are
    stripes. An equal score is accepted.

    The patch is the largest square of at most `pixels` pixels; in a series or a row of a table, so
    many neighbouring values. The space is the box of `perturbation` with ``squash = false``,
    ``ball = "l0"`` and a radius of `pixels`. A start must be such a change; elsewhere its largest
    window is used.

    Attributes:
        pixels: greatest number of pixels of the patch.
        share: the part of the patch that has new colours at first.
        period: queries from one move to the next.
        budget: queries of the schedule; the study's budget if None.
    """

    name: ClassVar[str] = "patch"

    pixels: int = 64
    share: float = 0.4
    period: int = 4
    budget: int | None = None

    def __post_init__(self) -> None:
        at_least(1, "a patch has a pixel", pixels=self.pixels)
        at_least(2, "at most every second query moves the patch", period=self.period)
        at_least(1, "the schedule is a share of it", budget=self.budget)
        share(share=self.share)

    def init(self, space: Space, targets: int, stream: Stream) -> Incumbent:
        channels, height, width = image_of(space)
        tall, wide = self._sides(height, width)
        place = stream.uniform(2)
        top = (place[:, 0] * (height - tall + 1)).to(torch.int64)
        left = (place[:, 1] * (width - wide + 1)).to(torch.int64)
        inside = _within(height, width, (top, left), (tall, wide))
        stripes = _squares.stripes((channels, height, width), stream)
        return begun((stripes * inside).flatten(1), targets, stream)

    def started_at(self, space: Space, state: Incumbent, latents: torch.Tensor) -> Incumbent:
        return replace(state, change=self._cut(space, changes_of(space, latents), state.change))

    def ask(self, space: Space, state: Incumbent, stream: Stream) -> torch.Tensor:
        image = image_of(space)
        best = state.change.reshape(-1, *image)
        painted = self._painted(best, state.queries, stream)
        moved = self._moved(best, state.queries, stream)
        moves = (state.queries % self.period == 0)[:, None, None, None]
        proposed = torch.where(moves, moved, painted).flatten(1)
        # The first change is measured before it is changed.
        change = torch.where(state.known[:, None], proposed, state.change)
        return latents_of(space, change).unsqueeze(1)

    def tell(
        self,
        space: Space,
        state: Incumbent,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> Incumbent:
        del gradients
        change = self._cut(space, changes_of(space, latents[:, 0]), state.change)
        return replace(kept(state, change, scores[:, 0]), queries=state.queries + 1)

    def _sides(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the patch."""
        if height == 1:
            return 1, min(self.pixels, width)
        side = min(math.isqrt(self.pixels), height, width)
        return side, side

    def _cut(self, space: Space, change: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """(K, D): -1, 0 or 1, without what lies outside of the first window that has a change."""
        channels, height, width = image_of(space)
        images = change.to(like.dtype).reshape(-1, channels, height, width)
        sides = self._sides(height, width)
        inside = _within(height, width, _corner(images, sides), sides)
        colours = torch.where(images < 0, -1.0, 1.0).to(like.dtype)
        return (colours * inside).flatten(1)

    def _painted(self, best: torch.Tensor, queries: torch.Tensor, stream: Stream) -> torch.Tensor:
        """`best` with one colour in a square of the patch; if this changes nothing, the opposite
        colour.
        """
        height, width = best.shape[2:]
        tall, wide = self._sides(height, width)
        top, left = _corner(best, (tall, wide))
        side = self._side(tall, wide, queries)
        place = stream.uniform(2)
        high = side.clamp(max=tall)
        top = top + (place[:, 0] * (tall - high + 1)).to(torch.int64)
        left = left + (place[:, 1] * (wide - side + 1)).to(torch.int64)
        inside = _within(height, width, (top, left), (high, side))
        colour = _squares.signs(stream, best.shape[1], 1, 1)
        painted = torch.where(inside, colour, best)
        same = (painted == best).flatten(1).all(1)[:, None, None, None]
        return torch.where(same & inside, -colour, painted)

    def _moved(self, best: torch.Tensor, queries: torch.Tensor, stream: Stream) -> torch.Tensor:
        """`best` with the patch at another place, which is the same where there is no other."""
        height, width = best.shape[2:]
        tall, wide = self._sides(height, width)
        old = _corner(best, (tall, wide))
        left_over = 1 - 2 * queries / (self.budget or SCHEDULE_BUDGET)
        lot = stream.uniform(2).to(torch.float64) * 2 - 1
        new = []
        for axis, room in enumerate((height - tall, width - wide)):
            reach = (left_over * room).clamp(min=1)
            step = (lot[:, axis] * (reach + 0.5)).round().to(torch.int64)
            new.append((old[axis] + step).clamp(0, room))
        rows = torch.arange(height, device=best.device)[None] - (new[0] - old[0])[:, None]
        columns = torch.arange(width, device=best.device)[None] - (new[1] - old[1])[:, None]
        shifted = best.gather(2, _index(rows % height, best, 2))
        return shifted.gather(3, _index(columns % width, best, 3))

    def _side(self, tall: int, wide: int, queries: torch.Tensor) -> torch.Tensor:
        """(K,) int64: the side of the painted square."""
        scaled = in_schedule(queries, self.budget)
        (edges,) = _EDGES.on(queries.device)
        part = self.share / 2.0 ** (scaled[:, None] > edges).sum(1)
        side = part * wide if tall == 1 else (part * tall * wide).sqrt()
        return side.round().clamp(1, wide).to(torch.int64)


def _corner(images: torch.Tensor, sides: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Top and left (K,) of the patch of images (K, C, H, W), inside the image."""
    changed = (images.abs() > 0.5).any(1)
    height, width = changed.shape[1:]
    top = changed.any(2).to(torch.uint8).argmax(1).clamp(max=height - sides[0])
    left = changed.any(1).to(torch.uint8).argmax(1).clamp(max=width - sides[1])
    return top, left


def _within(
    height: int,
    width: int,
    corner: tuple[torch.Tensor, torch.Tensor],
    sides: tuple[int | torch.Tensor, int | torch.Tensor],
) -> torch.Tensor:
    """(K, 1, H, W) bool: a window."""
    device = corner[0].device
    masks = []
    for length, first, side in zip((height, width), corner, sides, strict=True):
        offset = torch.arange(length, device=device)[None] - first[:, None]
        limit = side[:, None] if isinstance(side, torch.Tensor) else side
        masks.append((offset >= 0) & (offset < limit))
    return (masks[0][:, :, None] & masks[1][:, None, :])[:, None]


def _index(places: torch.Tensor, images: torch.Tensor, axis: int) -> torch.Tensor:
    """(K, C, H, W) int64: `places` (K, H or W) along an axis, for `gather`."""
    shape = [len(places), 1, 1, 1]
    shape[axis] = places.shape[1]
    return places.reshape(shape).expand_as(images)
