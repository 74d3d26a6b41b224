"""An artificial model with a known optimum, for tests, demonstrations and studies of noise."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, UnknownUnit
from blackbox_am.oracles._presentations import presentation_seeds
from blackbox_am.oracles._reading import LayerReading

LAYER = "units"


@dataclass(frozen=True)
class Simulated(Oracle):
    """Units in a layer `units`, each of which prefers one planted stimulus.

    The activation of unit j for stimulus x is 1 - mean((x - x_j)^2): 1 at the planted stimulus
    x_j, less everywhere else, never below 0 for stimuli in [0, 1]. The values of x_j are uniform
    in [0, 1] and depend on the seed and j only.

    With noise, an activation a becomes a * (1 + noise * e), with e standard normal. e is a
    function of the seed, the stimulus and the number of its presentations: repetitions differ, as
    in a physiological experiment, but a run can be repeated exactly, whatever other stimuli are in
    its batches. A count is kept for every stimulus.

    Attributes:
        stimulus_shape: shape of one stimulus.
        units: number of units.
        seed: fixes the planted stimuli and the noise.
        noise: standard deviation of the noise, relative to the activation.
        latency_seconds: shortest duration of a call.
        gradients: whether it offers gradients (capability GRADIENTS).
        batch_size: preferred rows in one call.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "simulated"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"latency_seconds", "batch_size"})

    stimulus_shape: tuple[int, ...] = (3, 8, 8)
    units: int = 10
    seed: int = 0
    noise: float = 0.0
    latency_seconds: float = 0.0
    gradients: bool = False
    batch_size: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "stimulus_shape", tuple(self.stimulus_shape))
        checks = {
            "stimulus_shape": (
                bool(self.stimulus_shape) and all(n > 0 for n in self.stimulus_shape),
                "positive lengths",
            ),
            "units": (self.units >= 1, "1 or more"),
            "batch_size": (self.batch_size >= 1, "1 or more"),
            "noise": (0 <= self.noise < math.inf, "0 or more"),
            "latency_seconds": (0 <= self.latency_seconds < math.inf, "0 or more"),
        }
        for field, (fits, expected) in checks.items():
            if not fits:
                raise InvalidSpec(
                    f"{field}: expected {expected}, got {getattr(self, field)}", field=field
                )

    def describe(self) -> OracleInfo:
        units = Capability.SCORES | Capability.UNITS
        return OracleInfo(
            self.kind,
            units | Capability.GRADIENTS if self.gradients else units,
            self.stimulus_shape,
            (self._layer,),
            deterministic=self.noise == 0,
            batch_size=self.batch_size,
        )

    def optimum(self, unit: int) -> torch.Tensor:
        """(*stimulus,) float32: the planted stimulus of a unit, for which the activation is 1.

        Raises:
            UnknownUnit: if the unit does not exist.
        """
        if not 0 <= unit < self.units:
            raise UnknownUnit(f"units are 0 to {self.units - 1}, got {unit}", field="units")
        generator = torch.Generator().manual_seed(position_seed(self.seed, "planted", 0, unit))
        return torch.rand(self.stimulus_shape, generator=generator)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        if self.latency_seconds:
            time.sleep(self.latency_seconds)
        with torch.set_grad_enabled(self.gradients and torch.is_grad_enabled()):
            wanted = sorted({unit.index for unit in units if unit.index is not None})
            if any(unit.index is None for unit in units):
                wanted = list(range(self.units))
            columns = dict.fromkeys(range(self.units), stimuli.new_zeros(len(stimuli)))
            for j in wanted:
                columns[j] = self._activation(stimuli, j)
            activations = torch.stack(list(columns.values()), dim=1)
            if self.noise:
                activations = activations * (1 + self.noise * self._noise(stimuli))
            if not units:
                return activations[:, :0]
            return LayerReading(self._layer, units, stimuli.device)(activations)

    def _activation(self, stimuli: torch.Tensor, unit: int) -> torch.Tensor:
        planted = self._planted(unit).to(stimuli.device)
        axes = tuple(range(1, stimuli.ndim))
        return 1 - (stimuli.to(torch.float32) - planted).square().mean(axes)

    def _planted(self, unit: int) -> torch.Tensor:
        if unit not in self._optima:
            self._optima[unit] = self.optimum(unit)
        return self._optima[unit]

    def _noise(self, stimuli: torch.Tensor) -> torch.Tensor:
        """(N, units) standard normal numbers."""
        rows = []
        for seed in presentation_seeds(stimuli, self._seen, self.seed):
            generator = torch.Generator().manual_seed(seed)
            rows.append(torch.randn(self.units, generator=generator))
        return torch.stack(rows).to(stimuli.device) if rows else stimuli.new_zeros(0, self.units)

    @property
    def _layer(self) -> LayerInfo:
        return LayerInfo(LAYER, "scores", (self.units,), ("unit",))

    @cached_property
    def _optima(self) -> dict[int, torch.Tensor]:
        return {}

    @cached_property
    def _seen(self) -> Counter[bytes]:
        return Counter()
