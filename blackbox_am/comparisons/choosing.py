"""The units that a comparison searches, where only layers are named."""

from __future__ import annotations

from dataclasses import replace

from blackbox_am.comparisons.problem import ComparisonSpec, check_tuning
from blackbox_am.comparisons.targets import check_different_targets, spelled
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, UnknownUnit, did_you_mean

DEFAULT_LAYERS = 4
"""Number of layers where the specification names none."""


def units_of(spec: ComparisonSpec, info: OracleInfo) -> tuple[str, ...]:
    """The units of a comparison, in their shortest spelling, and its expressions as they are.

    The choice depends on the specification and the shapes of the layers alone: of a layer with U
    units, n units are those at (i + 1/2) U / n, i = 0 ... n - 1. Without layers, four layers are
    taken evenly from those with n units or more, the last of them included.

    Args:
        spec: the specification.
        info: the description of the oracle.

    Raises:
        UnknownUnit: for a layer that the model lacks.
        InvalidSpec: if a layer has too few units, or if no layer has enough; if a unit occurs
            twice, or is one that was used for tuning.
    """
    units = spec.units or tuple(
        str(unit) for layer in _layers(spec, info) for unit in _spread(layer, spec, info)
    )
    found = tuple(spelled(unit) for unit in units)
    try:
        check_different_targets(found)
        check_tuning(found, spec.tuning_units)
    except ValueError as error:
        raise InvalidSpec(str(error), field=str(error).partition(":")[0]) from error
    return found


def _layers(spec: ComparisonSpec, info: OracleInfo) -> tuple[str, ...]:
    if spec.layers:
        return spec.layers
    large = [layer for layer in info.layers if layer.units >= spec.units_per_layer]
    if not large:
        most = max((layer.units for layer in info.layers), default=0)
        raise InvalidSpec(
            f"units_per_layer: no layer of {spec.oracle} has {spec.units_per_layer} units; the "
            f"largest has {most}",
            field="units_per_layer",
        )
    number = min(DEFAULT_LAYERS, len(large))
    places = [(step + 1) * len(large) // number - 1 for step in range(number)]
    return tuple(str(Unit(large[place].name)) for place in places)


def _spread(address: str, spec: ComparisonSpec, info: OracleInfo) -> list[Unit]:
    wanted = Unit.parse(address)
    layer = _layer(wanted.layer, spec, info)
    number = spec.units_per_layer
    if wanted.index is not None:
        raise InvalidSpec(
            f"layers: expected layers, such as {Unit(wanted.layer)}, got the unit {address}; name "
            "single units as `units`",
            field="layers",
        )
    if layer.units < number:
        raise InvalidSpec(
            f"units_per_layer: expected at most {layer.units}, the units of layer {layer.name}, "
            f"got {number}",
            field="units_per_layer",
        )
    return [
        replace(wanted, index=(2 * step + 1) * layer.units // (2 * number))
        for step in range(number)
    ]


def _layer(name: str, spec: ComparisonSpec, info: OracleInfo) -> LayerInfo:
    layers = {layer.name: layer for layer in info.layers}
    if name not in layers:
        raise UnknownUnit(
            f"{spec.oracle} has no layer {name!r}{did_you_mean(name, layers)}", field="layers"
        )
    return layers[name]
