"""The units that an analysis measures, with the capability it needs and an account of its
queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import fixed_batch_size, in_fixed_batches
from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.metering import metering, observed
from blackbox_am.core.oracle import Oracle, check_answer, check_stimuli, check_units, failures_of
from blackbox_am.core.types import Accounting, FloatArray, OracleInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import (
    CapabilityMissing,
    GradientUnavailable,
    InvalidSpec,
    OracleFailed,
    ShapeMismatch,
)

Make = Callable[[int, int], torch.Tensor]
"""The stimuli of the rows from a first to (not with) a last one."""

NOTHING = Capability(0)


class Subject:
    """Units of an oracle, measured for one analysis.

    Args:
        oracle: the model.
        units: addresses of the units, or units.
        method: name of the analysis, for messages.
        needs: the capability that the analysis needs besides the units themselves.
        instead: what a user whose oracle lacks the capability can do, as the end of a sentence.

    Attributes:
        spent: account of the oracle's calls so far, with the call that described it.

    Raises:
        CapabilityMissing, GradientUnavailable: if the oracle lacks the capability.
        UnknownUnit: if the oracle lacks a unit.
    """

    def __init__(
        self,
        oracle: Oracle,
        units: Sequence[str | Unit],
        *,
        method: str,
        needs: Capability = NOTHING,
        instead: str = "",
    ) -> None:
        if not units:
            raise InvalidSpec(f"{method} needs a unit, such as 'head:3', got none", field="units")
        self.oracle, self.method = oracle, method
        self.units = tuple(Unit.parse(one) if isinstance(one, str) else one for one in units)
        self.spent = Accounting()
        with self.billed():
            self.info: OracleInfo = oracle.describe()
        check_capability(self.info, needs, method, instead)
        check_units(self.info, self.units)

    @classmethod
    def of_layer(
        cls,
        oracle: Oracle,
        layer: str,
        *,
        method: str,
        needs: Capability = NOTHING,
        instead: str = "",
    ) -> Subject:
        """All units of a layer.

        Raises:
            CapabilityMissing, GradientUnavailable, UnknownUnit: as the constructor.
        """
        with metering() as meter:  # a function oracle measures a row when it is first described
            info = oracle.describe()
        check_capability(info, needs, method, instead)
        units = find_layer(info, Unit(layer)).units
        subject = cls(oracle, [Unit(layer, index) for index in range(units)], method=method)
        subject.spent += meter.total
        return subject

    @property
    def name(self) -> str:
        """The oracle in a few words: its kind, and the beginning of its fingerprint if known."""
        known = self.info.fingerprint
        return f"{self.info.kind} {known[:12]}" if known else self.info.kind

    @contextmanager
    def billed(self) -> Iterator[None]:
        """Adds the oracle's calls inside the context to `spent`, also where they fail."""
        with metering() as meter:
            try:
                yield
            finally:
                self.spent += meter.total

    def stimulus(self, given: Any) -> torch.Tensor:
        """(*stimulus,) float32 of one stimulus that a caller gave.

        Raises:
            ShapeMismatch: for another shape than the oracle's stimuli.
            InvalidSpec: for values outside [0, 1].
        """
        return self.stimuli(torch.as_tensor(np.asarray(given))[None])[0]

    def stimuli(self, given: Any) -> torch.Tensor:
        """(N, *stimulus) float32 of stimuli that a caller gave; uint8 is divided by 255.

        Raises:
            ShapeMismatch: for another shape than the oracle's stimuli.
            InvalidSpec: for values outside [0, 1].
        """
        values = given if isinstance(given, torch.Tensor) else torch.as_tensor(np.asarray(given))
        values = values.float() / 255 if values.dtype == torch.uint8 else values.float()
        if values.ndim == 0:
            raise ShapeMismatch("stimuli: expected an array, got a number", field="stimuli")
        check_stimuli(self.info, values)
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise InvalidSpec(
                "stimuli: expected numbers in [0, 1], or uint8 in 0..255; divide by 255",
                field="stimuli",
            )
        return values

    def measure(self, stimuli: torch.Tensor) -> FloatArray:
        """(N, U) float64 activations of the units for stimuli (N, *stimulus).

        Raises:
            OracleFailed: if a measurement failed or an activation is not finite.
        """
        return self.measure_made(len(stimuli), lambda start, stop: stimuli[start:stop])

    def measure_made(self, rows: int, make: Make) -> FloatArray:
        """(rows, U) float64 activations for stimuli that are made batch by batch.

        An oracle without a price sees batches of one size, so the account counts the padding of
        the last batch too.

        Raises:
            OracleFailed: if a measurement failed or an activation is not finite.
        """
        size = fixed_batch_size(max(rows, 1), self.info.batch_size)
        found = [np.empty((0, len(self.units)))]
        with torch.no_grad(), self.billed():
            for start in range(0, rows, size):
                stimuli = make(start, min(start + size, rows))
                if self.oracle.billable:
                    answer = self.ask(stimuli)
                else:
                    answer = in_fixed_batches(self.ask, stimuli, size)
                found.append(answer.double().cpu().numpy())
        return self.finite(np.concatenate(found))

    def finite(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values` (N, ...) of N stimuli, if all of them are finite.

        Raises:
            OracleFailed: if one is not.
        """
        failed = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
        if failed:
            raise OracleFailed(
                f"{failed:,} of {len(values):,} measurements are nan or infinite; {self.method} "
                "needs all of them. Wrap the oracle in a `retry` if it fails now and then"
            )
        return values

    def gradients(self, stimuli: torch.Tensor) -> tuple[NDArray[np.float64], torch.Tensor]:
        """Activations (N,) of the first unit, and their gradients (N, *stimulus).

        Raises:
            GradientUnavailable: if the oracle's answers do not depend on the stimuli by operations
                that PyTorch differentiates.
        """
        leaves = stimuli.clone().requires_grad_()
        with torch.enable_grad(), self.billed():
            answer = self.ask(leaves)[:, 0]
            (slopes,) = (
                torch.autograd.grad(answer.sum(), leaves, allow_unused=True)
                if (answer.requires_grad)
                else (None,)
            )
        if slopes is None:
            raise self.undifferentiable()
        self.spent += Accounting(backward_rows=len(leaves))
        return answer.detach().double().cpu().numpy(), slopes.detach()

    def undifferentiable(self) -> GradientUnavailable:
        """The error for answers that PyTorch does not differentiate."""
        return GradientUnavailable(
            f"{self.method}: the answers of this {self.info.kind} oracle do not depend on the "
            "stimuli by operations that PyTorch differentiates; use occlusion or rise"
        )

    def ask(self, stimuli: torch.Tensor) -> torch.Tensor:
        """(N, U) activations of one batch as the oracle answers them, on the open account."""
        with failures_of(len(stimuli)):
            answer = observed(self.oracle, stimuli, self.units)
        check_answer(answer, len(stimuli), len(self.units))
        return answer


def check_capability(info: OracleInfo, needs: Capability, method: str, instead: str) -> None:
    """Check that the oracle has every capability of `needs`.

    Raises:
        GradientUnavailable: if it has no gradients and needs them.
        CapabilityMissing: if it lacks another capability. The message names it, what the oracle
            has, and the alternative.
    """
    missing = needs & ~info.capabilities
    if not missing:
        return
    kind = GradientUnavailable if Capability.GRADIENTS in missing else CapabilityMissing
    raise kind(
        f"{method} needs the capability {in_words(missing)}, and this {info.kind} oracle has "
        f"{in_words(info.capabilities)}; {instead}",
        field="oracle",
    )
