"""Fixed inputs: only the other inputs are searched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.parameters import check
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._arrays import Given, read_array


@dataclass(frozen=True)
class Mask(GeneratorWrapper):
    """Stimuli of which only some values come from the generator: parts of images, series, rows.

    With `compact` the generator makes the free values only, so that every coordinate of its
    latents has an effect. Its stimuli then have as many values as are free. The values fill the
    free places in the order of the axes, the last axis fastest.

    Attributes:
        base: the fixed values, in [0, 1] (0 to 255 for uint8 files): a number, nested lists, or
            the path of a `.npy` or `.safetensors` file. Missing axes are broadcast, as in
            numpy: (32, 32) means each channel of (3, 32, 32).
        free: true, or 1, where the generator's values are taken; in the same forms.
        compact: whether the generator makes the free values only.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: for values out of range, or if no value is free; when the stimulus shape is
            read, if `base` and `free` do not fit the inner stimuli.
    """

    kind: ClassVar[str] = "mask"

    base: Given = 0.5
    free: Given = True
    compact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # Read now, so that a wrong file is reported when the generator is built.
        base, free = self._given
        fits = bool(torch.isfinite(base).all()) and 0 <= float(base.min()) <= float(base.max()) <= 1
        check(fits, "base", "values in [0, 1]", f"{float(base.min())} to {float(base.max())}")
        check(bool(free.any()), "free", "at least one free input", "none")

    def around(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        base, free = self._given
        if not self.compact:
            for field, given in (("base", base), ("free", free)):
                self._check_copies(field, tuple(given.shape), shape)
            return shape
        try:
            whole = np.broadcast_shapes(tuple(base.shape), tuple(free.shape))
        except ValueError as error:
            raise InvalidSpec(
                f"free: expected the shape of base, {tuple(base.shape)}, got {tuple(free.shape)}",
                field="free",
            ) from error
        count = int(free.expand(whole).sum())
        check(
            math.prod(shape) == count,
            "free",
            f"a generator of {count} values, as many as are free of {whole}",
            shape,
        )
        return whole

    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        base, free, places = self._there.on(stimuli.device)
        if not self.compact:
            return torch.where(free, stimuli, base)
        values = stimuli.flatten(1)
        whole = base.flatten().expand(len(values), -1).index_copy(1, places, values)
        return whole.reshape(-1, *base.shape)

    def undone(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The free values; the fixed ones have no effect."""
        if not self.compact:
            return stimuli
        _, _, places = self._there.on(stimuli.device)
        shape: tuple[int, ...] = self.inner.stimulus_shape
        return stimuli.flatten(1).index_select(1, places).reshape(-1, *shape)

    @staticmethod
    def _check_copies(field: str, given: tuple[int, ...], shape: tuple[int, ...]) -> None:
        trailing = shape[len(shape) - len(given) :] if len(given) <= len(shape) else None
        fits = trailing is not None and all(
            n in (1, m) for n, m in zip(given, trailing, strict=True)
        )
        check(fits, field, f"the shape of the stimuli within, {shape}", given)

    @cached_property
    def _given(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`base` as float32, and `free` as booleans, in their given shapes."""
        base = read_array("base", self.base, stimuli=True)
        free = read_array("free", self.free)
        check(base.size > 0, "base", "values", "none")
        if base.dtype == np.uint8:
            base = base / 255
        if free.dtype != np.bool_:
            known = bool(np.isin(free, (0, 1)).all())
            check(known, "free", "true or false, 1 or 0", "other numbers")
        return torch.tensor(base.astype(np.float32)), torch.tensor(free.astype(np.bool_))

    @cached_property
    def _there(self) -> Constants:
        """Base and free in the shape of the stimuli, and the places of the free inputs."""
        return Constants(self._laid_out)

    def _laid_out(self) -> tuple[Any, ...]:
        shape = self.stimulus_shape
        base, free = (given.expand(shape).contiguous() for given in self._given)
        return base, free, free.flatten().nonzero().squeeze(1)
