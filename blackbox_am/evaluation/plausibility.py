"""How far stimuli are from natural images, in the features of a network outside the search."""

from __future__ import annotations

import torch

BLOCK = 256
"""Rows whose distances to all natural images are in memory at once."""


def strangeness(features: torch.Tensor, natural: torch.Tensor) -> torch.Tensor:
    """Distance (N,) of each stimulus to the nearest natural image, in feature space.

    The unit is the median distance of a natural image to the nearest other natural image: each
    natural image is held out in turn. A value of 1 is therefore typical of natural images; a larger
    value means a stranger stimulus.

    Args:
        features: (N, F) of the stimuli.
        natural: (M, F) of the natural images; a row that is not finite is left out.

    Returns:
        (N,) float64; nan for a stimulus whose features are not finite, and for all stimuli if there
        are fewer than two natural images, or if more than half of them have a twin of equal
        features, so that the unit would be 0.
    """
    reference = finite_rows(natural).double()
    if len(reference) < 2:
        return features.new_full((len(features),), torch.nan, dtype=torch.float64)
    typical = nearest(reference, reference, held_out=True).quantile(0.5)
    return nearest(features.double(), reference) / torch.where(typical > 0, typical, torch.nan)


def finite_rows(rows: torch.Tensor) -> torch.Tensor:
    """Those of `rows` (N, F) in which every number is finite."""
    return rows[rows.isfinite().all(1)]


def nearest(rows: torch.Tensor, reference: torch.Tensor, *, held_out: bool = False) -> torch.Tensor:
    """(N,) Euclidean distance of each of `rows` (N, F) to the nearest of `reference` (M, F).

    Args:
        rows: (N, F).
        reference: (M, F).
        held_out: whether row n is `reference[n]`, which is then no neighbour of itself.
    """
    found = []
    for start in range(0, len(rows), BLOCK):
        distances = torch.cdist(rows[start : start + BLOCK], reference)
        if held_out:
            places = torch.arange(len(distances), device=distances.device)
            distances[places, start + places] = torch.inf
        found.append(distances.amin(1))
    return torch.cat(found) if found else rows.new_empty(0)
