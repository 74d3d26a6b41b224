"""Stimuli rounded to the levels of an image file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.parameters import check
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper


@dataclass(frozen=True)
class Quantise(Wrapper):
    """Rounds stimuli to whole levels: with 8 bits, to what an API of images receives.

    Values are clipped to [0, 1] and rounded to the nearest of 2^bits levels, ties to even;
    0 and 1 are levels. Around a cache, stimuli that round to the same image are measured once.

    Steps have no gradients: the capability GRADIENTS is taken away.

    Attributes:
        bits: bits of a value, 1 to 16.
    """

    kind: ClassVar[str] = "quantise"
    changes_answers: ClassVar[bool] = True

    bits: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.bits <= 16, "bits", "1 to 16", self.bits)

    def around(self, info: OracleInfo) -> OracleInfo:
        return replace(info, capabilities=info.capabilities & FORWARD)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        steps = 2**self.bits - 1
        with torch.no_grad():
            rounded = (stimuli.to(torch.float32).clamp(0, 1) * steps).round() / steps
            return self.ask(rounded, units)
