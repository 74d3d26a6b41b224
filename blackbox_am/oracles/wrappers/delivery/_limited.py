"""The time limit that a server puts around every oracle without a limit of its own."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.tally import Tally
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import OracleTimeout
from blackbox_am.oracles.wrappers.delivery.rate_limit import RateLimit
from blackbox_am.oracles.wrappers.delivery.timeout import Timeout


class OracleHangs(OracleTimeout):
    """A call of an oracle without a time limit of its own did not return; waiting does not help."""


@dataclass(frozen=True)
class Limited(Timeout):
    """A time limit that leaves the description and the fingerprint of the oracle as they are, and
    counts the calls.
    """

    name: str = ""
    tally: Tally = field(default_factory=Tally, compare=False, repr=False)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        with self.tally.counting(len(stimuli)):
            return super().observe(stimuli, units)

    def describe(self) -> OracleInfo:
        found: OracleInfo = self.inner.describe()
        if not (hanging := self.hanging):
            return found
        note = f"the oracle hangs: calls that were given up and have not returned: {hanging}"
        return replace(found, notes=(*found.notes, note))

    def fingerprint(self) -> Fingerprint:
        found: Fingerprint = self.inner.fingerprint()
        return found

    def too_late(self, rows: int) -> OracleTimeout:
        return OracleHangs(
            f"the oracle {self.name!r} did not answer {rows} rows within {self.seconds:g} s, and "
            "its call was given up; see what keeps it busy, or give it another limit with a "
            "wrapper of kind 'timeout' or with oracle_seconds"
        )


def limited(name: str, oracle: Oracle, seconds: float, tally: Tally | None = None) -> Limited:
    """`oracle` with a time limit of `seconds` for one call, which `tally` counts.

    If the oracle has a time limit of its own, or waits for a rate limit, the limit is endless, and
    a call can only be abandoned.
    """
    layer = oracle
    while isinstance(layer, Wrapper):
        if isinstance(layer, (Timeout, RateLimit)):
            seconds = math.inf
        layer = layer.inner
    most = min(seconds, threading.TIMEOUT_MAX)
    return Limited(oracle, most, name=name, tally=tally or Tally())
