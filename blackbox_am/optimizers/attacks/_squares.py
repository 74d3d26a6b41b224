"""Stripes, windows and pyramids of the square attack, for K images (K, C, H, W) at once."""

from __future__ import annotations

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.optimizers._targetwise import norms, row_sums

Image = tuple[int, int, int]
TILES = 5
"""Tiles in each direction of the first change in the Euclidean ball."""


def signs(stream: Stream, *shape: int) -> torch.Tensor:
    """(K, *shape) numbers -1 or 1."""
    return stream.integers(2, *shape).to(stream.dtype) * 2 - 1


def stripes(image: Image, stream: Stream) -> torch.Tensor:
    """(K, C, H, W): a sign for each channel and column."""
    channels, height, width = image
    return signs(stream, channels, 1, width).expand(-1, -1, height, -1).contiguous()


def painted(
    images: torch.Tensor,
    side: torch.Tensor,
    stream: Stream,
    limits: tuple[torch.Tensor, ...],
    aspect: float = 1.0,
) -> torch.Tensor:
    """`images` with one sign for each channel in a window of random place.

    The signs are drawn twice, and the second draw serves where the first changes nothing. If
    neither changes anything, the first is inverted.

    Args:
        images: (K, C, H, W), within the limits.
        side: (K,) int64, the window's side.
        stream: random numbers of this generation.
        limits: least and greatest values of a change, each (K or 1, C, H, W).
        aspect: greatest ratio of the longer side of a window to the shorter side.
    """
    window = (
        _rectangle(images, side, stream, aspect) if aspect > 1 else _window(images, side, stream)
    )
    colours = signs(stream, 2, images.shape[1], 1, 1)
    first, second = (torch.where(window, colour, images) for colour in colours.unbind(1))
    inverted = torch.where(window, -colours[:, 0], images)
    same, again = (
        (proposal.clamp(*limits) == images).flatten(1).all(1)[:, None, None, None]
        for proposal in (first, second)
    )
    return torch.where(~same, first, torch.where(~again, second, inverted))


def turned_columns(
    images: torch.Tensor,
    proposed: torch.Tensor,
    side: torch.Tensor,
    part: torch.Tensor,
    stream: Stream,
) -> torch.Tensor:
    """`proposed` (K, C, H, W), or with probability `part` (K,) `images` with opposite signs in
    `side` (K,) neighbouring columns of one channel.
    """
    channels, _, width = images.shape[1:]
    place = stream.uniform(3)
    left = (place[:, 0] * (width - side + 1)).to(torch.int64)[:, None]
    columns = torch.arange(width, device=images.device)
    inside = (columns >= left) & (columns < left + side[:, None])
    channel = (place[:, 1] * channels).to(torch.int64).clamp(max=channels - 1)
    mine = torch.arange(channels, device=images.device) == channel[:, None]
    both = mine[:, :, None, None] & inside[:, None, None, :]
    turns = (place[:, 2] < part)[:, None, None, None]
    return torch.where(turns, torch.where(both, -images, images), proposed)


def _window(images: torch.Tensor, side: torch.Tensor, stream: Stream) -> torch.Tensor:
    """(K, 1, H, W) bool: a square of random place; a part of the line if H is 1."""
    top, left = _corner(images, side, stream)
    return _inside(images, top, left, side)


def _rectangle(
    images: torch.Tensor, side: torch.Tensor, stream: Stream, aspect: float
) -> torch.Tensor:
    """(K, 1, H, W) bool: a rectangle of random place and shape with about side^2 pixels.

    The logarithm of the ratio of height to width is uniform up to that of `aspect`. The height of
    a line is 1.
    """
    height, width = images.shape[2:]
    place = stream.uniform(3)
    factor = aspect ** (place[:, 2] - 0.5)
    tall = (side * factor).round().clamp(1, height).to(torch.int64)
    wide = (side / factor).round().clamp(1, width).to(torch.int64)
    top = (place[:, 0] * (height - tall + 1)).to(torch.int64)
    left = (place[:, 1] * (width - wide + 1)).to(torch.int64)
    rows, columns = _offsets(images, top, left)
    inside = (rows >= 0) & (rows < tall[:, None, None])
    inside = inside & (columns >= 0) & (columns < wide[:, None, None])
    return inside[:, None]


def _corner(
    images: torch.Tensor, side: torch.Tensor, stream: Stream
) -> tuple[torch.Tensor, torch.Tensor]:
    """Top and left (K,) of a window of random place that lies inside the image."""
    height, width = images.shape[2:]
    place = stream.uniform(2)
    top = (place[:, 0] * (height - side.clamp(max=height) + 1)).to(torch.int64)
    left = (place[:, 1] * (width - side + 1)).to(torch.int64)
    return top, left


def _inside(
    images: torch.Tensor, top: torch.Tensor, left: torch.Tensor, side: torch.Tensor
) -> torch.Tensor:
    rows, columns = _offsets(images, top, left)
    tall = side.clamp(max=images.shape[2])[:, None, None]
    wide = side[:, None, None]
    inside = (rows >= 0) & (rows < tall) & (columns >= 0) & (columns < wide)
    return inside[:, None]


def _offsets(
    images: torch.Tensor, top: torch.Tensor, left: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, H, 1) rows and (K, 1, W) columns, counted from the window's corner."""
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    return rows[None, :, None] - top[:, None, None], columns[None, None, :] - left[:, None, None]


def tiles(image: Image, stream: Stream) -> torch.Tensor:
    """(K, C, H, W) of norm 1: a grid of 5 x 5 pairs of pyramids with a random sign for each
    channel.
    """
    channels, height, width = image
    blank = signs(stream, *image) * 0
    side = max((width if height == 1 else min(height, width)) // TILES, 1)
    sides = torch.full((len(blank),), side, device=blank.device)
    for top in _starts(height, side):
        for left in _starts(width, side):
            corner = torch.full_like(sides, top), torch.full_like(sides, left)
            turned = stream.uniform(1)[:, 0] < 0.5
            pair = pyramid_pair(blank, *corner, sides, turned)
            blank = blank + pair * signs(stream, channels, 1, 1)
    return blank / _norm(blank.flatten(1))[:, :, None, None]


def _starts(length: int, side: int) -> list[int]:
    """First places of as many tiles as fit, in the middle."""
    count = max(length // side, 1)
    margin = max(length - count * side, 0) // 2
    return [margin + index * side for index in range(count)]


def moved(
    images: torch.Tensor, side: torch.Tensor, stream: Stream, *, striped: bool
) -> torch.Tensor:
    """`images` (K, C, H, W) of norm 1 with the energy of two windows moved into a new pair of
    pyramids in the first of them.

    Args:
        images: of norm 1, or shorter where the range of the input cut something off.
        side: (K,) int64, the side of the windows.
        stream: random numbers of this generation.
        striped: whether each column of the pyramids has a sign of its own in each channel, instead
            of one sign for each channel and opposite signs of the pyramids.
    """
    channels, height, width = images.shape[1:]
    striped = striped and height > 1
    corner = _corner(images, side, stream)
    here, there = _inside(images, *corner, side), _window(images, side, stream)
    pair = pyramid_pair(images, *corner, side, stream.uniform(1)[:, 0] < 0.5)
    pair = (pair.abs() if striped else pair) * signs(stream, channels, 1, width if striped else 1)
    free = (1 - _square_sum(images.flatten(1)))[..., None].clamp(min=0) / channels
    energy = _square_sum((images * (here | there)).flatten(2)) + free
    old = images * here
    mixed = pair + old / _norm(old.flatten(2))[..., None]
    new = mixed / _norm(mixed.flatten(2))[..., None] * energy.sqrt()[..., None]
    changed = torch.where(here, new, torch.where(there, torch.zeros_like(images), images))
    return changed / _norm(changed.flatten(1))[:, :, None, None]


def pyramid_pair(
    images: torch.Tensor,
    top: torch.Tensor,
    left: torch.Tensor,
    side: torch.Tensor,
    turned: torch.Tensor,
) -> torch.Tensor:
    """(K, 1, H, W) of norm 1: two pyramids of opposite sign, one above the other in a window.

    At distance r (the larger of the distances in rows and columns) from the middle of its half of
    the window, a pyramid is the sum of 1 / (k + 1)^2 for k from r to n - 1, where n is half the
    window's side, plus 1 (Algorithm 3 of the paper, with k as the ring).

    Args:
        images: (K, C, H, W), for its shape and dtype.
        top, left: (K,) the window's corner.
        side: (K,) the window's side.
        turned: (K,) whether the halves are side by side instead.
    """
    height = images.shape[2]
    rows, columns = _offsets(images, top, left)
    wide = side[:, None, None]
    turned = (turned if height > 1 else torch.ones_like(turned))[:, None, None]
    along, across = torch.where(turned, columns, rows), torch.where(turned, rows, columns)
    half = wide // 2
    second = along >= half
    length = torch.where(second, wide - half, half)
    distance = (along - torch.where(second, half, 0) - length // 2).abs()
    if height > 1:
        distance = torch.maximum(distance, (across - half).abs())
    sums = _ring_sums(max(images.shape[2:]) + 2, images)
    value = (sums[half + 1] - sums[distance.clamp(max=len(sums) - 1)]).clamp(min=0)
    value = value[:, None] * _inside(images, top, left, side)
    upper, lower = (_scaled(value * part[:, None]) for part in (~second, second))
    return _scaled(upper - lower)


def _scaled(images: torch.Tensor) -> torch.Tensor:
    """`images` (K, 1, H, W), each divided by its norm."""
    return images / _norm(images.flatten(1))[:, :, None, None]


def _ring_sums(count: int, like: torch.Tensor) -> torch.Tensor:
    """(count,) where entry n is the sum of 1 / (k + 1)^2 for k < n."""
    terms = 1 / torch.arange(1, count, dtype=torch.float64).square()
    return torch.cat([torch.zeros(1, dtype=torch.float64), terms.cumsum(0)]).to(like)


def _square_sum(rows: torch.Tensor) -> torch.Tensor:
    """(K, ..., 1): sums of squares over the last axis."""
    return row_sums(rows.square()).unsqueeze(-1)


def _norm(rows: torch.Tensor) -> torch.Tensor:
    """(K, ..., 1): Euclidean norms over the last axis, at least a tiny number."""
    return norms(rows).unsqueeze(-1).clamp(min=1e-20)
