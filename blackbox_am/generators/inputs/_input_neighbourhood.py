"""Base of generators around given inputs: one input for all targets, or one for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import Generator
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._stimuli import stimuli_files, stimuli_of


@dataclass(frozen=True)
class InputNeighbourhood(Generator):
    """A generator around K clean inputs.

    Attributes:
        inputs: the clean inputs (K, *stimulus), uint8 or in [0, 1]: the path of a .npz, .npy or
            .safetensors file, `zoo:probe_images`, or an array, such as an input of a study. A
            single input is used for any number of targets. With several inputs, target k of a study
            uses input k.
        array: name of the array, in a file with several.
        channels_last: whether inputs are (height, width, channels).
        rows: numbers of the inputs to use; all unless given.
    """

    study_inputs: ClassVar[tuple[str, ...]] = ("inputs",)

    inputs: Any
    array: str = ""
    channels_last: bool = False
    rows: tuple[int, ...] = ()

    def contents(self) -> Mapping[str, object]:
        return {"inputs": stimuli_files(self.inputs)}

    @property
    def targets(self) -> int | None:
        """K, or None with a single input."""
        return None if len(self._clean) == 1 else len(self._clean)

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return tuple(self._clean.shape[1:])

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        """As `Generator.render`, around the first input."""
        return self.render_targets(latents, torch.zeros(len(latents), dtype=torch.int64))

    def references(self, targets: torch.Tensor) -> torch.Tensor:
        return self.mine(targets, self._clean_on, targets.device)

    def input_digests(self, targets: int) -> tuple[str, ...]:
        rows = (hashlib.blake2b(row.tobytes(), digest_size=12) for row in self._clean)
        digests = tuple(digest.hexdigest() for digest in rows)
        return digests * targets if len(digests) == 1 else digests

    def mine(self, targets: torch.Tensor, of: Constants, device: torch.device) -> torch.Tensor:
        """(N, ...): for each row the values of its target's input; (1, ...) for a single input."""
        (values,) = of.on(device)
        if len(values) == 1:
            return values
        return values[targets.to(device)]

    @cached_property
    def _clean(self) -> NDArray[np.float32]:
        clean = stimuli_of("inputs", self.inputs, self.array, channels_last=self.channels_last)
        wrong = [row for row in self.rows if not 0 <= row < len(clean)]
        if wrong:
            raise InvalidSpec(
                f"rows: there are {len(clean)} inputs, 0 to {len(clean) - 1}, got {wrong[0]}",
                field="rows",
            )
        return clean[list(self.rows)] if self.rows else clean

    @cached_property
    def _clean_on(self) -> Constants:
        return Constants(lambda: (torch.from_numpy(self._clean),))
