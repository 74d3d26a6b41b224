"""A stimulus against the template that activation maximisation found, as a map.

The value of a place is the correlation of stimulus and template in a window around it, so the map
says where the stimulus looks like the template. It costs no query.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.cells import places_of
from blackbox_am.core.parameters import check
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import ShapeMismatch

OF_NO_UNIT = "a template"
"""What stands in place of the unit of a template that names none."""


def template_map(
    template: Any, stimulus: Any, *, unit: str = "", window: int | None = None
) -> AttributionMap:
    """Where a stimulus looks like an AM template.

    Args:
        template: (*stimulus) in [0, 1], such as `Best.stimulus` of a study.
        stimulus: (*stimulus) in [0, 1].
        unit: the unit that the template was found for, for the title.
        window: side of the window in places; a quarter of the longest side if None.

    Returns:
        The map, correlations in [-1, 1]; 0 where stimulus or template is flat.

    Raises:
        ShapeMismatch: if the shapes differ.
    """
    first, second = (_array(one) for one in (template, stimulus))
    if first.shape != second.shape:
        raise ShapeMismatch(
            f"template: expected the stimulus's shape {second.shape}, got {first.shape}",
            field="template",
        )
    places = places_of(second.shape)
    window = max(1, max(places) // 4) if window is None else window
    check(window >= 1, "window", "1 or more", window)
    return AttributionMap(
        method="am_template",
        subject=unit or OF_NO_UNIT,
        model="activation maximisation",
        parameters={"window": window},
        stimulus=second.astype(np.float32),
        score=float("nan"),
        values=_correlations(first, second, len(places), window),
        meaning="correlation of stimulus and template around the place",
    )


def _array(given: Any) -> FloatArray:
    values = np.asarray(given.cpu() if isinstance(given, torch.Tensor) else given)
    return values.astype(np.float64) / (255 if values.dtype == np.uint8 else 1)


def _correlations(first: FloatArray, second: FloatArray, axes: int, window: int) -> FloatArray:
    channels = tuple(range(first.ndim - axes))

    def mean(values: FloatArray) -> FloatArray:
        over = values.mean(channels) if channels else values
        return np.asarray(uniform_filter(over, window, mode="nearest"))

    a, b = mean(first), mean(second)
    covariance = mean(first * second) - a * b
    product = (mean(first**2) - a**2) * (mean(second**2) - b**2)
    flat = product <= 1e-12
    return np.where(flat, 0.0, covariance / np.sqrt(np.where(flat, 1.0, product)))
