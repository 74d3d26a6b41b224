"""How usual the length of a latent is under the prior of its space."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from blackbox_am.core.spec import SpaceSpec


def typicality(latent: NDArray[Any], space: SpaceSpec) -> float:
    """How far the length of `latent` (D,) is from the median length under a standard normal prior.

    The length of a latent of D standard normal numbers has the chi distribution with D degrees of
    freedom, F(r) = P(D / 2, r^2 / 2) with the regularised incomplete gamma function P. The result
    |2 F(r) - 1| is the probability of a length nearer to the median.

    Returns:
        0 (at the median) to 1; nan for a latent that is empty or not finite, and for a prior other
        than the normal one: lengths say nothing there.
    """
    if not _is_normal(space) or latent.size != space.dimension or not np.isfinite(latent).all():
        return float("nan")
    half = np.square(np.asarray(latent, np.float64)).sum() / 2
    return float(abs(2 * gammainc(space.dimension / 2, half) - 1))


def _is_normal(space: SpaceSpec) -> bool:
    if space.kind == "product":
        return all(map(_is_normal, space.parts))
    return space.kind == "normal"
