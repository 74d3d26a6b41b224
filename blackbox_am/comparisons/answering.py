"""Answers of a network to stimuli in fixed batches, with bounded memory; features of stimuli."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.metering import observed
from blackbox_am.core.oracle import Oracle, check_answer, failures_of
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit

Stimuli = Sequence[NDArray[np.float32]] | NDArray[np.float32]


def answers(oracle: Oracle, stimuli: Stimuli, units: Sequence[Unit]) -> Iterator[torch.Tensor]:
    """Activations of `units` for stimuli N x (*stimulus), in parts of at most one batch of the
    oracle: (rows, U) float64 on the CPU.

    A billable oracle receives no padding. An open meter counts the rows.

    Raises:
        UnknownUnit: if a unit does not exist.
        OracleError: if the model fails.
    """
    size = max(1, oracle.describe().batch_size)

    def ask(rows: torch.Tensor) -> torch.Tensor:
        with failures_of(len(rows)):
            found = observed(oracle, rows, units)
        check_answer(found, len(rows), len(units))
        return found

    for start in range(0, len(stimuli), size):
        rows = torch.from_numpy(np.stack(list(stimuli[start : start + size]))).float()
        with torch.no_grad():
            found = ask(rows) if oracle.billable else in_fixed_batches(ask, rows, size)
        yield found.double().cpu()


def all_answers(oracle: Oracle, stimuli: Stimuli, units: Sequence[Unit]) -> torch.Tensor:
    """(N, U) float64: the parts of `answers` together."""
    nothing = torch.empty(0, len(units), dtype=torch.float64)
    return torch.cat([nothing, *answers(oracle, stimuli, units)])


def features(oracle: Oracle, stimuli: Stimuli) -> torch.Tensor:
    """(N, F) float64 features of stimuli: the units of the oracle's penultimate layer, each reduced
    over its positions.
    """
    layer = penultimate(oracle.describe())
    return all_answers(oracle, stimuli, units_of(layer))


def penultimate(info: OracleInfo) -> LayerInfo:
    """The last layer whose number of units is not that of the output. It is the layer before the
    classifier, also if several layers follow it that only rescale the class scores. The output
    itself if the oracle has no such layer, as one that answers with class scores alone.
    """
    output = info.layers[-1]
    return next((one for one in reversed(info.layers) if one.units != output.units), output)


def units_of(layer: LayerInfo) -> list[Unit]:
    """Every unit of a layer, reduced over its positions."""
    return [Unit(layer.name, index) for index in range(layer.units)]
