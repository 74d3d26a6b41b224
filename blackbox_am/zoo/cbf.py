"""Cylinder, bell, funnel: three shapes of a time series, made by a published recipe.

N. Saito, "Local Feature Extraction and Its Applications Using a Library of Bases", PhD thesis, Yale
University, 1994. For t = 1 to 128, with a ~ U{16..32}, b - a ~ U{32..96}, amplitude 6 + eta and
eta, eps(t) ~ N(0, 1):

    cylinder  c(t) = (6 + eta) * [a <= t <= b] + eps(t)
    bell      b(t) = (6 + eta) * [a <= t <= b] * (t - a) / (b - a) + eps(t)
    funnel    f(t) = (6 + eta) * [a <= t <= b] * (b - t) / (b - a) + eps(t)

Ours are then scaled into [0, 1] by the constants below; the original values are
``LOW + x * (HIGH - LOW)``.
"""

from __future__ import annotations

import numpy as np

LABELS = ("cylinder", "bell", "funnel")
LENGTH = 128
LOW, HIGH = -4.0, 12.0
NOISE = 1.0 / (HIGH - LOW)
"""Standard deviation of the recipe's noise after scaling."""

MEAN, STD = 0.377, 0.169
"""Of the scaled values, over all classes."""


def cylinder_bell_funnel(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Series of all three classes in turn.

    About 3 values in 100,000 lie outside LOW to HIGH and are clipped.

    Args:
        count: How many.
        seed: The same seed makes the same series.

    Returns:
        Series float32 ``(count, 1, 128)`` in [0, 1], and labels int64 ``(count,)``.
    """
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    start = draw.integers(16, 33, count)[:, None]
    length = draw.integers(32, 97, count)[:, None]
    amplitude = 6.0 + draw.standard_normal(count)[:, None]
    time = np.arange(1, LENGTH + 1)[None]
    rise = (time - start) / length
    shape = np.stack([np.ones_like(rise), rise, 1.0 - rise])[labels, np.arange(count)]
    inside = (rise >= 0) & (rise <= 1)
    values = amplitude * shape * inside + draw.standard_normal((count, LENGTH))
    scaled = np.clip((values - LOW) / (HIGH - LOW), 0.0, 1.0)
    return scaled.astype(np.float32)[:, None], labels.astype(np.int64)
