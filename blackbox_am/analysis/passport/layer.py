"""Dead, saturated and duplicate units of a layer, from their activations for natural stimuli."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidSpec

DUPLICATE = 0.99
SATURATED = 0.5
LEAST_STIMULI = 10


@dataclass(frozen=True)
class LayerFlags:
    """Flags of U units.

    Attributes:
        dead: (U,) bool, the largest activation is not above 0.
        constant: (U,) bool, all activations are equal.
        saturated: (U,) bool, half of the stimuli or more have the largest activation, within 1 % of
            the range.
        correlations: (U, U) of the activations; nan with a constant unit.
        duplicates: pairs of units whose |correlation| is above 0.99.
    """

    dead: FloatArray
    constant: FloatArray
    saturated: FloatArray
    correlations: FloatArray
    duplicates: tuple[tuple[int, int], ...]

    def of(self, unit: int) -> tuple[str, ...]:
        """The names of the flags of one unit."""
        names = ("dead", "constant", "saturated")
        return tuple(name for name in names if getattr(self, name)[unit])

    def twins(self, unit: int) -> tuple[int, ...]:
        """The duplicates of one unit."""
        return tuple(b if a == unit else a for a, b in self.duplicates if unit in (a, b))


def layer_flags(activations: FloatArray) -> LayerFlags:
    """The flags of units from activations (N, U) for N natural stimuli.

    Raises:
        InvalidSpec: for fewer than 10 stimuli, of which no correlation can be believed.
    """
    values = np.asarray(activations, np.float64)
    if values.ndim != 2 or len(values) < LEAST_STIMULI:
        raise InvalidSpec(
            f"activations: expected (N, units) for {LEAST_STIMULI} stimuli or more, got shape "
            f"{values.shape}",
            field="activations",
        )
    top, low = values.max(0), values.min(0)
    spread = top - low
    constant = spread <= np.finfo(np.float32).eps * np.maximum(np.abs(top), np.abs(low))
    at_top = (values >= top - 0.01 * spread).mean(0)
    correlations = _correlations(values, constant)
    close = np.triu(np.abs(np.nan_to_num(correlations)) > DUPLICATE, 1)
    pairs = tuple((int(a), int(b)) for a, b in np.argwhere(close))
    return LayerFlags(top <= 0, constant, (at_top >= SATURATED) & ~constant, correlations, pairs)


def _correlations(values: FloatArray, constant: FloatArray) -> FloatArray:
    centred = values - values.mean(0)
    norms = np.where(constant, np.nan, np.sqrt((centred**2).sum(0)))
    scaled = centred / norms
    return np.asarray(scaled.T @ scaled)
