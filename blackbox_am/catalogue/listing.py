"""Describes registered plug-ins and catalogue entries.

An entry that cannot be loaded or built is described with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from blackbox_am import plugins
from blackbox_am.core.columns import Column
from blackbox_am.core.generator import Generator
from blackbox_am.core.listings import (
    GeneratorListing,
    MeasureListing,
    OptimizerListing,
    OracleListing,
    PlugInListing,
)
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import BlackboxError

log = logging.getLogger(__name__)

_TERMS = {"type": "array", "items": {"type": "object"}}
_WEIGHTS = {"type": "array", "items": {"type": "number"}}
_JOINS = {"type": "object", "properties": {"terms": _TERMS}, "required": ["terms"]}
_JOINED_OBJECTIVES = {
    "sum": PlugInListing(
        "sum",
        "The weighted sum of its terms, one weight a term, or 1 each.",
        {
            "type": "object",
            "properties": {"terms": _TERMS, "weights": _WEIGHTS},
            "required": ["terms"],
        },
    ),
    "product": PlugInListing("product", "The product of its terms.", _JOINS),
}
"""Objectives that combine others and are not plug-ins."""

_JOINED_CRITERIA = {
    "all": PlugInListing("all", "Met where all of its terms are met.", _JOINS),
    "any": PlugInListing("any", "Met where at least one of its terms is met.", _JOINS),
}
"""Criteria that combine others and are not plug-ins."""


def objective_names() -> list[str]:
    """Names of all objectives, sorted: the plug-ins, and `sum` and `product`."""
    return sorted({*plugins.objectives.names(), *_JOINED_OBJECTIVES})


def objective(name: str) -> PlugInListing:
    """The objective `name`, one of `objective_names`."""
    return _JOINED_OBJECTIVES.get(name) or PlugInListing(**_plug_in(plugins.objectives, name))


def criterion_names() -> list[str]:
    """Names of all criteria, sorted: the plug-ins, and `all` and `any`."""
    return sorted({*plugins.criteria.names(), *_JOINED_CRITERIA})


def criterion(name: str) -> PlugInListing:
    """The criterion `name`, one of `criterion_names`."""
    return _JOINED_CRITERIA.get(name) or PlugInListing(**_plug_in(plugins.criteria, name))


def transform(name: str) -> PlugInListing:
    """The registered transformation `name`."""
    return PlugInListing(**_plug_in(plugins.transforms, name))


def measure(name: str) -> MeasureListing:
    """The registered measure `name`. Measures have no parameters."""
    try:
        found = plugins.measures.get(name)
    except (BlackboxError, ImportError) as error:
        return MeasureListing(name, problem=_cannot(error))
    return MeasureListing(
        name,
        plugins.summary_of(found),
        quantities=tuple(found.names),
        compares_inputs=found.compares,
    )


def optimizer(name: str) -> OptimizerListing:
    """The registered optimizer `name`."""
    fields = _plug_in(plugins.optimizers, name)
    if fields["problem"]:
        return OptimizerListing(**fields)
    found = plugins.optimizers.get(name)
    return OptimizerListing(**fields, order=found.order, spaces=tuple(sorted(found.spaces)))


def generator(name: str, build: Callable[[str], Generator]) -> GeneratorListing:
    """The generator `name` of a catalogue, which `build` makes."""
    try:
        made = build(name)
        return GeneratorListing(
            name=name,
            kind=made.kind,
            space=made.space.spec,
            stimulus_shape=tuple(made.stimulus_shape),
            differentiable=made.differentiable,
            summary=plugins.summary_of(type(made)),
            licence=made.licence,
            targets=made.targets,
            columns=tuple(_plain(column) for column in getattr(made, "columns", ())),
        )
    except BlackboxError as error:
        return GeneratorListing(name, problem=error.message)
    except Exception as error:  # noqa: BLE001  # the code of an entry may raise anything
        return GeneratorListing(name, problem=_unexpected("generator", name, error))


def oracle(name: str, build: Callable[[str], Oracle]) -> OracleListing:
    """The oracle `name` of a catalogue, which `build` makes."""
    try:
        return OracleListing(name, build(name).describe())
    except BlackboxError as error:
        return OracleListing(name, problem=error.message)
    except Exception as error:  # noqa: BLE001  # the code of an entry may raise anything
        return OracleListing(name, problem=_unexpected("oracle", name, error))


def _plain(column: Column) -> dict[str, Any]:
    """The attributes of a column that are not defaults."""
    return {
        field.name: msgspec.to_builtins(getattr(column, field.name))
        for field in msgspec.structs.fields(column)
        if getattr(column, field.name) != field.default
    }


def _plug_in(registry: plugins.Registry[Any], name: str) -> dict[str, Any]:
    try:
        return {
            "name": name,
            "summary": registry.summary(name),
            "schema": registry.schema(name),
            "problem": "",
        }
    except (BlackboxError, ImportError) as error:
        return {"name": name, "problem": _cannot(error)}


def _unexpected(noun: str, name: str, error: Exception) -> str:
    log.error("the %s %s cannot be described", noun, name, exc_info=error)
    return f"it cannot be loaded: {type(error).__name__}; the server's log has the traceback"


def _cannot(error: Exception) -> str:
    return f"cannot be loaded: {error}"
