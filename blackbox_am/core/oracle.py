"""The contract of an oracle: stimuli in, activations of named units out."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit, check_unit
from blackbox_am.errors import GradientUnavailable, InvalidSpec, OracleFailed, ShapeMismatch


class Oracle(ABC):
    """A model that answers questions about its units, and nothing else.

    A subclass is a frozen dataclass whose fields are its parameters.
    """

    kind: ClassVar[str]
    """The name of its file, by which configurations call it."""
    billable: ClassVar[bool] = False
    """Whether a row costs something. Billable oracles never see padding rows."""
    counts_itself: ClassVar[bool] = False
    """Whether it counts its own calls (`metering.count`); else each `observe` is one call."""
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset()
    """Parameters on which no answer depends."""

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

    def identity(self) -> str:
        """What its answers depend on: equal for oracles that answer alike, today and tomorrow.

        Raises:
            InvalidSpec: where a parameter is no plain value, such as a model at hand.
        """
        if not dataclasses.is_dataclass(self):
            raise InvalidSpec(f"a {self.kind} oracle has no parameters to tell it from another")
        fields = [f for f in dataclasses.fields(self) if f.name not in self.excluded_from_identity]
        parts = []
        for field in fields:
            text = _plain(self, field.name, getattr(self, field.name))
            if not field.repr:  # a secret
                text = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
            parts.append(f"{field.name}={text}")
        return f"{self.kind}({', '.join(parts)})"

    def close(self) -> None:  # noqa: B027  # most oracles hold nothing
        """Gives back what it holds. An oracle that holds nothing does nothing."""


def _plain(oracle: Oracle, field: str, value: object) -> str:
    if isinstance(value, Oracle):
        return value.identity()
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_plain(oracle, field, item) for item in value)})"
    if isinstance(value, dict):
        items = (f"{key!r}: {_plain(oracle, field, value[key])}" for key in sorted(value))
        return f"{{{', '.join(items)}}}"
    if value is None or isinstance(value, (str, int, float, bool)):
        return repr(value)
    raise InvalidSpec(
        f"{field}: a {type(value).__name__} does not say by itself which model this "
        f"{oracle.kind} oracle is; name it yourself, in the cache's parameter `model`",
        field="model",
    )


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
