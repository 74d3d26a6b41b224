"""The contract of an oracle, a function from stimuli to activations of named units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Protocol, runtime_checkable

import torch

from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.identity import Identified
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit, check_in_layer, find_layer
from blackbox_am.errors import BlackboxError, GradientUnavailable, OracleFailed, ShapeMismatch


class Oracle(Identified, ABC):
    """A model whose units can be measured.

    A subclass is a frozen dataclass whose fields are its parameters.
    """

    billable: ClassVar[bool] = False
    """Whether a row has a price. A billable oracle never receives padding rows."""
    counts_itself: ClassVar[bool] = False
    """Whether the oracle counts its own calls (`metering.count`); otherwise each `observe` is a
    call.
    """

    @abstractmethod
    def describe(self) -> OracleInfo:
        """The oracle's layers, shapes and capabilities."""

    @abstractmethod
    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """Activations (N, U) of `units` for stimuli (N, *stimulus) in [0, 1].

        Activations are float64 if the model computes in float64, otherwise float32. An infinite
        activation is returned as infinity; nan means that a measurement failed.

        With the capability GRADIENTS, the result has gradients if autograd is enabled.

        Raises:
            UnknownUnit: if a unit does not exist.
            OracleError: if the model fails.
        """

    def close(self) -> None:  # most oracles have nothing to close
        """Release the oracle's resources. An oracle without resources does nothing."""


@runtime_checkable
class ReadsMaps(Protocol):
    """An oracle that gives whole maps of its layers in one call, with the capability GRADIENTS
    differentiable.
    """

    def maps(self, stimuli: torch.Tensor, layers: Sequence[str], side: int) -> torch.Tensor:
        """(N, F) float32: the values of all units of each layer, one layer after the other.

        A layer with height and width gives a map for each unit: the means over a grid of
        `map_cells`. Any other layer gives the mean over its other axes for each unit.

        Raises:
            UnknownUnit: if a layer does not exist.
            OracleError: if the model fails.
        """
        ...


@runtime_checkable
class Intervenes(Protocol):
    """An oracle that answers while some of its units are silenced, with the capability
    INTERVENTION.
    """

    def observe_silenced(
        self, stimuli: torch.Tensor, units: Sequence[Unit], silenced: Sequence[Unit]
    ) -> torch.Tensor:
        """As `Oracle.observe`, while the values of the `silenced` units are 0 everywhere.

        A silenced unit without an index is a whole layer; positions and reductions are not used.

        Raises:
            UnknownUnit: if a unit does not exist.
            CapabilityMissing: for a layer that cannot be silenced.
            OracleError: if the model fails.
        """
        ...


@runtime_checkable
class HasModule(Protocol):
    """An oracle that runs a PyTorch module in this process and lends it, so that methods that
    change the backward pass of single layers can put hooks on it.
    """

    def running_module(self) -> torch.nn.Module:
        """The module that `observe` runs. Its hooks, weights and mode are the oracle's: who adds
        hooks removes them.
        """
        ...


def map_cells(layer: LayerInfo, side: int) -> tuple[int, int] | None:
    """Height and width of the map that `ReadsMaps.maps` gives for a unit of `layer`, at most `side`
    each; None if the layer has no maps.
    """
    extents = dict(zip(layer.axes, layer.shape, strict=True))
    if set(extents) != {"unit", "height", "width"}:
        return None
    return min(extents["height"], side), min(extents["width"], side)


def check_units(info: OracleInfo, units: Sequence[Unit]) -> None:
    """Check that the oracle has every unit.

    Raises:
        UnknownUnit: if a unit does not exist; the message names the first one and similar names.
        CapabilityMissing: if the oracle lacks a capability that a unit needs.
    """
    layers: dict[str, LayerInfo] = {}
    for unit in dict.fromkeys(units):
        if unit.layer not in layers:
            layers[unit.layer] = find_layer(info, unit)
        check_in_layer(info, layers[unit.layer], unit)


def check_gradients(info: OracleInfo, optimizer: str) -> None:
    """Check that the oracle has gradients for an optimizer of order 1.

    Raises:
        GradientUnavailable: if it has none; the message names its capabilities.
    """
    if Capability.GRADIENTS not in info.capabilities:
        raise GradientUnavailable(
            f"{optimizer} needs the capability GRADIENTS, and this {info.kind} oracle has "
            f"{in_words(info.capabilities)}; use a gradient-free optimizer such as 'cma'",
            field="optimizer.name",
        )


def check_stimuli(info: OracleInfo, stimuli: torch.Tensor) -> None:
    """Check the shape of a batch of stimuli.

    Raises:
        ShapeMismatch: if the shape is wrong; the message has both shapes.
    """
    if tuple(stimuli.shape[1:]) != info.stimulus_shape:
        expected = ", ".join(["N", *(str(n) for n in info.stimulus_shape)])
        raise ShapeMismatch(
            f"stimuli: expected shape ({expected}), got {tuple(stimuli.shape)}", field="stimuli"
        )


def check_answer(answer: torch.Tensor, rows: int, units: int) -> None:
    """Check the shape and dtype of an oracle's answer.

    Raises:
        OracleFailed: if they are wrong; the message has the expected and the actual values.
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


@contextmanager
def failures_of(rows: int) -> Iterator[None]:
    """Converts an exception of an oracle on `rows` stimuli into `OracleFailed`, because the code of
    an oracle may raise anything.

    Raises:
        OracleFailed: for an exception that is not from `errors`.
    """
    try:
        yield
    except (BlackboxError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:
        raise OracleFailed(
            f"the oracle raised {type(error).__name__} on {rows} stimuli: {error}"
        ) from error
