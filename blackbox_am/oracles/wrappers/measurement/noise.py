"""Noise added to the answers of a model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.parameters import check
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._presentations import presentation_seeds


@dataclass(frozen=True)
class Noise(Wrapper):
    """Adds noise to activations: Poisson, relative to the activation, or of constant size.

    An activation a first becomes Poisson(poisson * max(a, 0)) / poisson, the counts of a
    cell that spikes at `poisson` times a; then a * (1 + multiplicative * e); then
    a + additive * e', with e and e' standard normal. A parameter of 0 leaves its step out. Nan
    and infinities get no Poisson noise.

    The noise of a row is a function of the seed, the stimulus, the units of the call, and how
    often this stimulus was presented: repetitions differ, but a run can be repeated exactly. A
    count is kept for every stimulus, in some 150 bytes.

    Counts have no gradients: with `poisson`, the capability GRADIENTS is taken away.

    Attributes:
        multiplicative: deviation relative to the activation.
        additive: deviation, in units of activation.
        poisson: counts at an activation of 1; smaller is noisier.
        seed: fixes the noise.

    Raises:
        InvalidSpec: for a number below 0, or where all three are 0.
    """

    kind: ClassVar[str] = "noise"
    changes_answers: ClassVar[bool] = True

    multiplicative: float = 0.0
    additive: float = 0.0
    poisson: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("multiplicative", "additive", "poisson"):
            value = getattr(self, field)
            check(0 <= value < math.inf, field, "0 or more", value)
        if not (self.multiplicative or self.additive or self.poisson):
            raise InvalidSpec(
                "noise: say how much; give one of multiplicative, additive and poisson",
                field="multiplicative",
            )
        _ = self._seen  # made before threads can race for it

    def around(self, info: OracleInfo) -> OracleInfo:
        kept = info.capabilities & FORWARD if self.poisson else info.capabilities
        return replace(info, deterministic=False, capabilities=kept)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        # A unit that is requested twice is measured once; the order of the units does not matter.
        wanted = sorted(set(units), key=str)
        place = {unit: column for column, unit in enumerate(wanted)}
        columns = torch.tensor([place[unit] for unit in units], dtype=torch.int64)
        if self.poisson:
            with torch.no_grad():
                noisy = self._noisy(stimuli, wanted)
        else:
            noisy = self._noisy(stimuli, wanted)
        return noisy.index_select(1, columns.to(noisy.device))

    def _noisy(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        clean = self.ask(stimuli, units)
        seeds = presentation_seeds(stimuli, self._seen, self.seed)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        if self.poisson:
            clean = self._counts(clean, generators)
        if self.multiplicative:
            clean = clean * (1 + self.multiplicative * _normal(clean, generators))
        if self.additive:
            clean = clean + self.additive * _normal(clean, generators)
        return clean

    def _counts(self, clean: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
        rates = (self.poisson * clean.nan_to_num(0.0, 0.0, 0.0)).clamp_min(0).double().cpu()
        rows = [
            torch.poisson(row, generator=generator)
            for row, generator in zip(rates, generators, strict=True)
        ]
        counts = torch.stack(rows) if rows else rates
        noisy = (counts / self.poisson).to(clean)
        return torch.where(clean.isfinite(), noisy, clean)

    @cached_property
    def _seen(self) -> Counter[bytes]:
        return Counter()


def _normal(like: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
    """Standard normal numbers of the shape of `like` (N, U), row by row."""
    rows = [torch.randn(like.shape[1], generator=generator) for generator in generators]
    return torch.stack(rows).to(like.device) if rows else torch.zeros_like(like)
