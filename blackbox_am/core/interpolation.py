"""Paths from one latent to another, for each kind of space. Needs only numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import ShapeMismatch

Array = NDArray[Any]


def interpolate(space: SpaceSpec, start: Array, end: Array, steps: int) -> Array:
    """(steps, D): latents from `start` to `end`, both (D,), ends included.

    In a normal space and on a sphere the direction turns along the great circle (slerp,
    Shoemake, "Animating rotation with quaternion curves", 1985) while the norm changes linearly: a
    straight line would pass through norms that the prior does not have. In a box the path is
    straight. Codes change one position after another, in a fixed random order.

    Raises:
        ShapeMismatch: if an end does not have shape (D,), or there are fewer than two steps.
    """
    for name, latent in (("start", start), ("end", end)):
        if latent.shape != (space.dimension,):
            raise ShapeMismatch(
                f"{name}: expected a latent of shape ({space.dimension},), got {latent.shape}",
                field=name,
            )
    if steps < 2:
        raise ShapeMismatch(f"steps: expected 2 or more, got {steps}", field="steps")
    if space.kind == "product":
        cuts = np.cumsum([part.dimension for part in space.parts])[:-1]
        ends = zip(space.parts, np.split(start, cuts), np.split(end, cuts), strict=True)
        return np.concatenate([interpolate(*found, steps) for found in ends], axis=1)
    fractions = np.linspace(0.0, 1.0, steps)[:, None]
    if space.kind == "categorical":
        return _turned(start, end, fractions)
    way = _slerp if space.kind in ("normal", "sphere") else _straight
    found: Array = way(start, end, fractions).astype(start.dtype)
    return found


def _turned(start: Array, end: Array, fractions: Array) -> Array:
    differing = np.flatnonzero(start != end)
    order = np.random.default_rng(0).permutation(len(differing))
    turns_at = np.zeros(len(start))
    turns_at[differing] = (order + 1) / max(1, len(differing))
    return np.where(fractions >= turns_at, end, start)


def _straight(start: Array, end: Array, fractions: Array) -> Array:
    found: Array = (1 - fractions) * start + fractions * end
    return found


def _slerp(start: Array, end: Array, fractions: Array) -> Array:
    norms = np.linalg.norm(start), np.linalg.norm(end)
    if not all(norms):
        return _straight(start, end, fractions)
    first, last = start / norms[0], end / norms[1]
    angle = np.arccos(np.clip(first @ last, -1.0, 1.0))
    if np.sin(angle) < 1e-6:  # equal or opposite directions do not determine a great circle
        return _straight(start, end, fractions)
    turned = np.sin((1 - fractions) * angle) * first + np.sin(fractions * angle) * last
    lengths = (1 - fractions) * norms[0] + fractions * norms[1]
    found: Array = lengths * turned / np.sin(angle)
    return found
