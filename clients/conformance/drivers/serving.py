"""The oracles of the protocol, served by the package's own server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from blackbox_am import errors
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.service import Config, running
from clients.conformance.drivers.models import ModelFault, linear


@dataclass
class Counts:
    """Calls of an observe function, and rows in them."""

    calls: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Conformance(Oracle):
    """An oracle of the protocol.

    Attributes:
        model: its name in the protocol.
        stimulus_shape: shape of one stimulus.
        units: number of units.
        error: class of the error that `raises` throws.
        counts: what was asked of it.
    """

    kind: ClassVar[str] = "conformance"
    billable: ClassVar[bool] = True  # no padding rows

    model: str
    stimulus_shape: tuple[int, ...]
    units: int
    error: str = ""
    counts: Counts = field(default_factory=Counts, compare=False)

    def describe(self) -> OracleInfo:
        layer = LayerInfo("out", "scores", (self.units,), ("unit",))
        can = Capability.SCORES | Capability.UNITS
        return OracleInfo(self.kind, can, self.stimulus_shape, (layer,), batch_size=16)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        self.counts.calls += 1
        self.counts.rows += len(stimuli)
        if self.model == "raises":
            raise getattr(errors, self.error)("no memory for this batch")
        if self.model == "throws":
            raise ModelFault("the rig fell over")
        wanted = [unit.index or 0 for unit in units]
        rows = stimuli.reshape(len(stimuli), -1).numpy().astype(np.float64)
        return torch.tensor([[self._one(row, j) for j in wanted] for row in rows]).float()

    def _one(self, row: Any, unit: int) -> float:
        if self.model == "first":
            return float(row[unit])
        return float("nan") if row[0] == 0 else linear(row, unit)


@contextmanager
def serving(name: str, oracle: Oracle, port: int) -> Iterator[str]:
    """A server with one oracle. Yields its address."""
    catalogue = Catalogue()
    catalogue.add_oracle(name, oracle)
    config = Config(f"127.0.0.1:{port}", ":memory:", device="cpu", catalogue=catalogue)
    with running(config) as address:
        yield address
