"""The contract of an oracle: stimuli in, activations of named units out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.identity import Identified
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit, check_unit
from blackbox_am.errors import GradientUnavailable, OracleFailed, ShapeMismatch


class Oracle(Identified, ABC):
    """A model that answers questions about its units, and nothing else.

    A subclass is a frozen dataclass whose fields are its parameters.
    """

    billable: ClassVar[bool] = False
    """Whether a row costs something. Billable oracles never see padding rows."""
    counts_itself: ClassVar[bool] = False
    """Whether it counts its own calls (`metering.count`); else each `observe` is one call."""

    @abstractmethod
    def describe(self) -> OracleInfo:
        """Its layers, shapes and capabilities."""

    @abstractmethod
    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """(N, U) activations of `units` for stimuli (N, *stimulus) in [0, 1].

        They are float64 where the model computes in it, else float32. An infinite activation
        is told as infinity; nan says that a measurement failed.

        With the capability GRADIENTS the result carries gradients where autograd is on.

        Raises:
            UnknownUnit: for a unit it does not have.
            OracleError: where the model fails.
        """

    def close(self) -> None:  # most oracles hold nothing
        """Gives back what it holds. An oracle that holds nothing does nothing."""


def check_units(info: OracleInfo, units: Sequence[Unit]) -> None:
    """Checks every unit against what the oracle has.

    Raises:
        UnknownUnit: naming the first that does not exist, and near names.
        CapabilityMissing: for a request that the oracle cannot answer.
    """
    for unit in units:
        check_unit(info, unit)


def check_gradients(info: OracleInfo, optimizer: str) -> None:
    """Checks that the oracle has gradients for an optimizer of order 1.

    Raises:
        GradientUnavailable: naming what it has.
    """
    if Capability.GRADIENTS not in info.capabilities:
        raise GradientUnavailable(
            f"{optimizer} needs the capability GRADIENTS, and this {info.kind} oracle has "
            f"{in_words(info.capabilities)}; use a gradient-free optimizer such as 'cma'",
            field="optimizer.name",
        )


def check_stimuli(info: OracleInfo, stimuli: torch.Tensor) -> None:
    """Checks the shape of a batch of stimuli.

    Raises:
        ShapeMismatch: saying both shapes.
    """
    if tuple(stimuli.shape[1:]) != info.stimulus_shape:
        expected = ", ".join(["N", *(str(n) for n in info.stimulus_shape)])
        raise ShapeMismatch(
            f"stimuli: expected shape ({expected}), got {tuple(stimuli.shape)}", field="stimuli"
        )


def check_answer(answer: torch.Tensor, rows: int, units: int) -> None:
    """Checks the shape and dtype of what an oracle answered.

    Raises:
        OracleFailed: saying what was expected and what came.
    """
    if tuple(answer.shape) != (rows, units):
        raise OracleFailed(
            f"the oracle answered with shape {tuple(answer.shape)}; expected {(rows, units)}, "
            "one row a stimulus and one column a unit"
        )
    if answer.dtype not in (torch.float32, torch.float64):
        raise OracleFailed(
            f"the oracle answered with numbers of dtype {answer.dtype}; expected float32 or float64"
        )
