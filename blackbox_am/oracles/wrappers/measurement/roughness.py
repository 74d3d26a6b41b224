"""How rough a stimulus is, as units that an objective can punish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._reading import LayerReading

LAYER = "stimulus"


@dataclass(frozen=True)
class Roughness(Wrapper):
    """Adds a layer `stimulus` that says how rough the stimulus itself is.

    An objective sees activations and no stimuli; with this, a penalty is one more term of
    it, such as ``Mean("fc:3") - 50 * Mean("stimulus:0")``. Unit 0 is the mean squared first
    difference along time, or along height and width, unit 1 the mean absolute one (total
    variation; Rudin, Osher and Fatemi 1992, anisotropic, per value). The first axis of
    stimuli of two or more axes is that of channels, which are not compared with each other.
    Asked for these units alone, the model is not asked at all.

    Raises:
        InvalidSpec: on the first use, where the model has a layer of this name, or stimuli of
            one value a channel.
    """

    kind: ClassVar[str] = "roughness"
    changes_answers: ClassVar[bool] = True

    def around(self, info: OracleInfo) -> OracleInfo:
        if any(layer.name == LAYER for layer in info.layers):
            raise InvalidSpec(f"roughness: the model has a layer {LAYER!r} of its own")
        if max(info.stimulus_shape[1:] or info.stimulus_shape) < 2:
            raise InvalidSpec(
                "roughness: expected stimuli with neighbours in time or space, got shape "
                f"{info.stimulus_shape}"
            )
        layer = LayerInfo(
            LAYER, "scores", (2,), ("unit",), labels=("squared difference", "total variation")
        )
        return replace(info, layers=(*info.layers, layer))

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        own = [column for column, unit in enumerate(units) if unit.layer == LAYER]
        if not own:
            return self.ask(stimuli, units)
        reading = LayerReading(info.layers[-1], [units[c] for c in own], stimuli.device)
        measured = reading(_differences(stimuli.to(torch.float32)))
        if Capability.GRADIENTS not in info.capabilities:
            measured = measured.detach()  # half of an objective's gradient would mislead
        others = [column for column, unit in enumerate(units) if unit.layer != LAYER]
        if not others:
            return measured
        asked = self.ask(stimuli, [units[c] for c in others])
        order = torch.tensor(others + own, device=asked.device).argsort()
        return torch.cat([asked, measured.to(asked)], dim=1).index_select(1, order)


def _differences(stimuli: torch.Tensor) -> torch.Tensor:
    """(N, 2): mean squared and mean absolute difference of neighbours."""
    first = 2 if stimuli.ndim > 2 else 1
    pairs = [stimuli.diff(dim=axis).flatten(1) for axis in range(first, stimuli.ndim)]
    differences = torch.cat(pairs, dim=1)
    return torch.stack([differences.square().mean(1), differences.abs().mean(1)], dim=1)
