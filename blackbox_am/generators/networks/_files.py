"""Bases of generators that are one computation, checked once when it is loaded."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.generator import Generator, bounded, check_latent_shape
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import BlackboxError, InvalidSpec, NotFound
from blackbox_am.generators._slices import Slices

SLACK = 0.05
"""The share of their range by which numbers may lie outside the range without an error."""

Prior = Literal["normal", "sphere", "box"]

_LOADING = threading.Lock()


class Computed(Generator):
    """A generator that is one computation, from one tensor to one tensor.

    A subclass is a frozen dataclass with the parameters below.

    Attributes:
        dimension: D, the number of latent coordinates.
        shape: shape of one stimulus.
        prior: prior of its training: `normal`, `sphere` (of radius sqrt(D)) or `box`.
        low, high: bounds of the box.
        latent_shape: shape of one latent for the computation, such as (100, 1, 1); (D,) unless
            given.
        output_range: the outputs for black and white, which become 0 and 1.
        clip: whether outputs outside the range are expected and clipped. Rounding errors are always
            clipped.
        rows: number of rows for which the computation was exported; any number unless given.
    """

    dimension: int
    shape: tuple[int, ...]
    prior: Prior
    low: float
    high: float
    latent_shape: tuple[int, ...]
    output_range: tuple[float, float]
    clip: bool
    rows: int | None

    source_field: ClassVar[str]
    """The parameter that names the computation, for messages."""

    def __post_init__(self) -> None:
        for field in ("shape", "latent_shape", "output_range"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        check(self.dimension >= 1, "dimension", "1 or more", self.dimension)
        positive = bool(self.shape) and all(n >= 1 for n in self.shape)
        check(positive, "shape", "positive lengths, such as (3, 32, 32)", self.shape)
        check(
            self.prior in ("normal", "sphere", "box"),
            "prior",
            "normal or sphere or box",
            self.prior,
        )
        check(-math.inf < self.low < self.high < math.inf, "low", "less than high", self.low)
        if self.latent_shape:
            fits = math.prod(self.latent_shape) == self.dimension
            expected = f"lengths whose product is the dimension, {self.dimension}"
            check(fits, "latent_shape", expected, self.latent_shape)
        low, high = self.output_range
        check(
            -math.inf < low < high < math.inf,
            "output_range",
            "two numbers, low and high",
            (low, high),
        )
        if self.rows is not None:
            check(self.rows >= 1, "rows", "1 or more", self.rows)

    @property
    def space(self) -> Space:
        if self.prior != "box":
            return build_space(SpaceSpec(self.prior, self.dimension))
        return build_space(SpaceSpec("box", self.dimension, low=(self.low,), high=(self.high,)))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self.shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        return bounded(self._scaled(self._computed(self.computation, latents)))

    @cached_property
    def computation(self) -> Any:
        """The loaded computation, after one test run.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: if the file has another format, or does not fit the parameters.
        """
        with _LOADING:
            known = vars(self)
            if "computation" not in known:
                loaded = self.load()
                self._try(loaded)
                known["computation"] = loaded
            return known["computation"]

    def to(self, device: torch.device | str) -> None:
        known = vars(self)
        known["computation"] = self.moved(self.computation, torch.device(device))
        known["_device"] = torch.device(device)

    @property
    def source_name(self) -> str:
        """The computation, for messages."""
        return repr(getattr(self, self.source_field))

    @property
    def source(self) -> str:
        """The parameter and the computation, for messages."""
        return f"{self.source_field}: {self.source_name}"

    @abstractmethod
    def load(self) -> Any:
        """Reads the file, or builds the module.

        Raises:
            NotFound: if the file does not exist.
            InvalidSpec: if the file has another format.
        """

    @abstractmethod
    def compute(self, computation: Any, latents: torch.Tensor) -> Any:
        """The computation's output for latents (N, *latent_shape) float32."""

    def moved(self, computation: Any, device: torch.device) -> Any:
        """The computation on `device`. Subclasses override this method if the computation has
        weights on a device.
        """
        del device
        return computation

    def carries_gradients(self) -> bool:
        """Whether autograd connects the computation's output with the latents."""
        known: bool | None = vars(self).get("_carries_gradients")
        if known is None:
            with torch.inference_mode(False), torch.enable_grad():
                latents = torch.zeros(1, self.dimension, requires_grad=True)
                known = self.render(latents).requires_grad
            vars(self)["_carries_gradients"] = known
        return known

    def unreadable(self, expected: str, error: Exception) -> InvalidSpec:
        """The error for a file that cannot be read as what was `expected`."""
        lines = str(error).strip().splitlines()
        return InvalidSpec(
            f"{self.source_field}: cannot read {self.source_name} as {expected}: "
            f"{type(error).__name__}: {lines[0] if lines else 'no more is known'}",
            field=self.source_field,
        )

    def _computed(self, computation: Any, latents: torch.Tensor) -> torch.Tensor:
        """(N, *shape), in the range `output_range`."""
        device = vars(self).get("_device", torch.device("cpu"))
        values = latents.to(device, torch.float32)
        shaped = values.reshape(-1, *(self.latent_shape or (self.dimension,)))
        if self.rows is None:
            return self._slices.render(
                lambda piece: self._checked(self.compute(computation, piece), len(piece)), shaped
            )
        rows = self.rows
        return in_fixed_batches(
            lambda piece: self._checked(self.compute(computation, piece), rows), shaped, rows
        )

    @cached_property
    def _slices(self) -> Slices:
        return Slices()

    def _checked(self, made: Any, rows: int) -> torch.Tensor:
        if not isinstance(made, torch.Tensor) or not made.is_floating_point():
            what = made.dtype if isinstance(made, torch.Tensor) else type(made).__name__
            raise InvalidSpec(
                f"{self.source} makes {what}; expected one tensor of floating-point numbers",
                field=self.source_field,
            )
        if made.shape != (rows, *self.shape):
            raise InvalidSpec(
                f"shape: {self.source_name} makes {tuple(made.shape)} of {rows} latents; expected "
                f"{(rows, *self.shape)}",
                field="shape",
            )
        return made.to(torch.float32)

    def _scaled(self, made: torch.Tensor) -> torch.Tensor:
        low, high = self.output_range
        return (made - low) / (high - low)

    def _try(self, computation: Any) -> None:
        latents = self.space.sample(Stream(0, "trial", 0), 3)[0]
        try:
            with torch.no_grad():
                made = self._computed(computation, latents)
        except BlackboxError:
            raise
        except Exception as error:  # foreign code may raise anything
            taken = tuple(self.latent_shape or (self.dimension,))
            raise InvalidSpec(
                f"{self.source} failed on 3 latents of shape {taken}: {error}; if it takes "
                "other shapes, set dimension and latent_shape, and rows if it takes so many only",
                field=self.source_field,
            ) from error
        made = made[made.flatten(1).isfinite().all(1)]  # a row of nan is a failed row
        if not len(made):
            raise InvalidSpec(
                f"{self.source} makes numbers that are not finite of each of 3 random "
                "latents; see whether it was exported in half precision, and overflows",
                field=self.source_field,
            )
        scaled = self._scaled(made)
        if not self.clip and not -SLACK <= float(scaled.min()) <= float(scaled.max()) <= 1 + SLACK:
            raise InvalidSpec(
                f"output_range: {self.source_name} makes numbers from {float(made.min()):.4g} to "
                f"{float(made.max()):.4g} of random latents, outside of {self.output_range}; "
                "set output_range to what it makes, or clip to cut them off",
                field="output_range",
            )


@dataclass(frozen=True)
class FromFile(Computed):
    """A computation in a file.

    Attributes:
        path: of the file. Only the operator gives it, because some formats contain code.

    Raises:
        InvalidSpec: for numbers that do not fit together.
    """

    source_field: ClassVar[str] = "path"

    path: str
    dimension: int
    shape: tuple[int, ...]
    prior: Prior = "normal"
    low: float = -1.0
    high: float = 1.0
    latent_shape: tuple[int, ...] = ()
    output_range: tuple[float, float] = (-1.0, 1.0)
    clip: bool = False
    rows: int | None = None

    def load(self) -> Any:
        if not Path(self.path).is_file():
            raise NotFound(f"path: there is no file {self.path!r}", field="path")
        return self.read()

    @abstractmethod
    def read(self) -> Any:
        """Reads the file, which exists.

        Raises:
            InvalidSpec: if the file has another format.
        """
