"""Entries of a catalogue, as an installation or a server lists them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import OracleInfo


@dataclass(frozen=True)
class PlugInListing:
    """A registered plug-in.

    Attributes:
        name: name in specifications.
        summary: one line of description.
        schema: JSON schema of the parameters.
        problem: reason why it cannot be loaded; empty if it can.
    """

    name: str
    summary: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class OptimizerListing(PlugInListing):
    """A registered optimizer.

    Attributes:
        order: 0: learns from scores. 1: needs gradients.
        spaces: kinds of latent space that it can search, sorted.
    """

    order: int = 0
    spaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasureListing(PlugInListing):
    """A registered measure of the stimulus.

    Attributes:
        quantities: the quantities that it measures, such as `stimulus.tv`.
        compares_inputs: whether it compares a stimulus with an input of the generator.
    """

    quantities: tuple[str, ...] = ()
    compares_inputs: bool = False


@dataclass(frozen=True)
class GeneratorListing:
    """A generator of a catalogue.

    Attributes:
        name: name in specifications.
        kind: name of the plug-in.
        space: latent space; None if the generator cannot be built.
        stimulus_shape: shape of one stimulus.
        differentiable: whether the generator has gradients.
        summary: one line of description.
        problem: reason why it cannot be built; empty if it can.
        licence: licence of the weights; empty if there are no weights or if the licence is unknown.
        targets: number of targets with different inputs; None if the generator has no inputs.
        columns: for a generator of table rows, its columns as plain data: the attributes of
            `core.columns.Column` that are not defaults, and `name`.
    """

    name: str
    kind: str = ""
    space: SpaceSpec | None = None
    stimulus_shape: tuple[int, ...] = ()
    differentiable: bool = False
    summary: str = ""
    problem: str = ""
    licence: str = ""
    targets: int | None = None
    columns: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class OracleListing:
    """An oracle of a catalogue.

    Attributes:
        name: name in specifications.
        info: description of the oracle; None if it cannot be used.
        problem: reason why it cannot be used; empty if it can.
    """

    name: str
    info: OracleInfo | None = None
    problem: str = ""
