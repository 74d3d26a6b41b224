"""Probes: which axis of a result follows one index of an axis of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Axes = tuple[int, ...]


def perturbed(values: torch.Tensor, axes: Axes, index: int) -> torch.Tensor:
    """A copy of `values` in which everything at `index` of each of `axes` is changed.

    Args:
        values: floating point or complex.
        axes: axes that count the units together, as (heads, dim) do.
        index: 0 or -1.
    """
    changed = values.clone(memory_format=torch.contiguous_format)
    where = tuple(index if axis in axes else slice(None) for axis in range(values.ndim))
    # Larger than everything, so that a maximum shows the change at every place.
    finite = torch.nan_to_num(values.abs().amax(), nan=1.0, posinf=1.0) if values.numel() else 1.0
    changed[where] = changed[where] * 0.5 + (finite + 1)
    return changed


def followed(
    result: torch.Tensor, first: torch.Tensor | None, last: torch.Tensor | None
) -> Axes | None:
    """The axes of `result` on which a change of one unit stays at one index.

    Args:
        result: of the unchanged input.
        first: of the input whose first unit was changed.
        last: of the input whose last unit was changed.

    Returns:
        The axes, or None if the change is nowhere, or spreads over all axes.
    """
    one, two = _changed(result, first), _changed(result, last)
    if one is None or two is None:
        return None
    axes = []
    for axis in range(result.ndim):
        low, high = _only(one, axis), _only(two, axis)
        if axis == 0 and low is None and high is None:
            low, high = _only_of_each(one), _only_of_each(two)
        if low is not None and high is not None and low != high:
            axes.append(axis)
    return tuple(axes) or None


def follow(
    run: Callable[[torch.Tensor], torch.Tensor | None],
    values: torch.Tensor,
    axes: Axes,
    result: torch.Tensor,
) -> Axes | None:
    """The unit axes of `result` = run(values), where `axes` are those of `values`."""
    if not _can_be_changed(values) or all(values.shape[axis] == 1 for axis in axes):
        return None
    if not values.is_contiguous():
        # Sums run in another order over another arrangement in memory, and round differently.
        plain = run(values.clone(memory_format=torch.contiguous_format))
        result = result if plain is None else plain
    return followed(result, *(run(perturbed(values, axes, index)) for index in (0, -1)))


def row_marks(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """For each axis, a number for each index. The number changes if any value at this index
    changes.
    """
    plain = torch.view_as_real(values) if values.is_complex() else values
    plain = torch.nan_to_num(plain.detach().to(torch.float64))
    # Weights without a pattern: plain sums hide changes in values that add up to 1.
    places = torch.arange(plain.numel(), device=plain.device, dtype=torch.float64)
    weighted = plain * (1.5 + torch.cos(places * 1.7)).reshape(plain.shape)
    if values.is_complex():
        weighted = weighted.sum(-1)
    return tuple(
        weighted.sum([other for other in range(values.ndim) if other != axis])
        if values.ndim > 1
        else weighted
        for axis in range(values.ndim)
    )


def changed_indices(
    before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]
) -> list[set[int]] | None:
    """For each axis, the indices at which two tensors differ, given their `row_marks`.

    Returns:
        The indices, or None if the tensors have different shapes.
    """
    if [len(one) for one in before] != [len(one) for one in after]:
        return None
    found = []
    for old, new in zip(before, after, strict=True):
        difference = (new - old).abs()
        # Kernels that add in no fixed order leave noise where nothing changed.
        limit = 1e-6 * float(difference.max()) if len(difference) else 0.0
        found.append(set(torch.nonzero(difference > limit).flatten().tolist()))
    return found


def _can_be_changed(values: torch.Tensor) -> bool:
    return (values.is_floating_point() or values.is_complex()) and not values.is_quantized


def _changed(result: torch.Tensor, other: torch.Tensor | None) -> torch.Tensor | None:
    if other is None or other.shape != result.shape or other.dtype != result.dtype:
        return None
    different = other != result
    if result.is_floating_point() or result.is_complex():
        different &= ~(other.isnan() & result.isnan())
    return different if bool(different.any()) else None


def _only(place: torch.Tensor, axis: int) -> int | None:
    """The only index of `axis` at which a value changed; None if there are several."""
    if place.shape[axis] == 1:
        return None
    others = [other for other in range(place.ndim) if other != axis]
    touched = place.any(dim=others) if others else place
    indices = torch.nonzero(touched).flatten()
    return int(indices[0]) if len(indices) == 1 else None


def _only_of_each(place: torch.Tensor) -> int | None:
    """The only index of the units on axis 0, where they are folded into the stimuli, as attention
    heads are before a product of batches: unit 1 of 4 changes the indices 1, 5, 9; None if there
    are several.
    """
    touched = place.flatten(1).any(dim=1) if place.ndim > 1 else place
    indices = torch.nonzero(touched).flatten()
    if len(indices) < 2 or len(touched) % len(indices):
        return None
    units = len(touched) // len(indices)
    first = int(indices[0])
    expected = torch.arange(first, len(touched), units, device=indices.device)
    return first if 1 < units > first and torch.equal(indices, expected) else None
