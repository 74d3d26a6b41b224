"""Occlusion: how much the activation falls when a window of the stimulus is hidden.

Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2. The
paper shows the activation at the window's place; here the value of a place is the mean fall over
all windows that cover it, so that windows may overlap.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.cells import places_of
from blackbox_am.analysis.fills import filled
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit


def occlusion(
    oracle: Oracle,
    unit: str | Unit,
    stimulus: Any,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: Any = "mean",
) -> AttributionMap:
    """The fall of a unit's activation for each hidden place of a stimulus.

    Args:
        oracle: any oracle.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        window: length of the window in each direction, in places; an eighth of the longest side
            (at least 1) if None.
        stride: steps between windows; half a window (at least 1) if None.
        fill: what stands in the window, see `fills.filled`.

    Returns:
        The map; values are activation differences, positive where hiding lowers the activation.

    Raises:
        InvalidSpec: for a window or stride below 1.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject(oracle, [unit], method="occlusion")
    shown = subject.stimulus(stimulus)
    places = places_of(tuple(shown.shape))
    window = max(1, max(places) // 8) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    check(window >= 1, "window", "1 or more", window)
    check(1 <= stride <= window, "stride", f"1 to the window's {window}, so no gap", stride)
    masks = window_masks(places, window, stride)
    scores = subject.measure_made(len(masks) + 1, _maker(shown, filled(shown, fill), masks))[:, 0]
    falls = scores[0] - scores[1:]
    covered = masks.sum(0)
    values = np.tensordot(falls, masks.astype(np.float64), axes=1) / covered
    return AttributionMap.of(
        subject,
        shown,
        float(scores[0]),
        values,
        "mean fall of the activation when the place is hidden",
        parameters={"window": window, "stride": stride, "fill": _named(fill)},
        more={"falls": falls},
    )


def window_masks(places: tuple[int, ...], window: int, stride: int) -> FloatArray:
    """(W, *places) bool: the places of each window. The last windows are moved inside."""
    starts = [sorted({*range(0, max(n - window, 0), stride), max(n - window, 0)}) for n in places]
    corners = list(itertools.product(*starts))
    masks = np.zeros((len(corners), *places), bool)
    for mask, corner in zip(masks, corners, strict=True):
        mask[tuple(slice(start, start + window) for start in corner)] = True
    return masks


def _maker(shown: torch.Tensor, hidden: torch.Tensor, masks: FloatArray) -> Any:
    """Stimulus 0 is whole, stimulus 1 + w has window w hidden."""
    whole = np.zeros((1, *masks.shape[1:]), bool)

    def make(start: int, stop: int) -> torch.Tensor:
        chosen = torch.from_numpy(np.concatenate([whole, masks])[start:stop])
        extra = (1,) * (shown.ndim - len(masks.shape[1:]))
        return torch.where(chosen.reshape(len(chosen), *extra, *masks.shape[1:]), hidden, shown)

    return make


def _named(fill: Any) -> str:
    return str(fill) if isinstance(fill, (str, int, float)) else "an array"
