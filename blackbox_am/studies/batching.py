"""The number of rows in each batch of a study."""

from __future__ import annotations

from blackbox_am.core.batches import fixed_batch_size
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.repeating import Repeats
from blackbox_am.studies.probing import Probed

ENDING_PART = 4
"""What part of its preferred batch an oracle gets if targets end one after the other.

Measured with a ResNet-20 on one core of a CPU: a quarter of 64 rows has 0.8 to 0.95 of the speed,
and a search of 40 targets gave the oracle 13,700 rows with padding instead of 36,700.
"""


def batch_size_of(oracle: Oracle | None, rows: int, found: Probed, *, fewer: bool) -> int:
    """Rows in each batch for generations of `rows` rows; 0 if clients measure.

    Args:
        oracle: the model; None if clients measure.
        rows: of a generation of all targets.
        found: the result of the probe of the oracle.
        fewer: whether targets end one after the other, so that most generations have fewer rows:
            smaller batches then have less padding.
    """
    if oracle is None:
        return 0
    if found.repeats is Repeats.ALONE:
        return 1
    preferred = oracle.describe().batch_size
    if fewer and not oracle.billable:  # a billable oracle gets no padding
        preferred = -(-preferred // ENDING_PART)
    return fixed_batch_size(rows, preferred)
