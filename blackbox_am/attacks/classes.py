"""Where a model tells its classes."""

from __future__ import annotations

from blackbox_am.attacks.planning import Classes
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, did_you_mean


def classes_of(info: OracleInfo, layer: str | None = None, name: str = "the model") -> Classes:
    """The classes of a model.

    Args:
        info: description of the model.
        layer: name of the layer with a score for each class, or with one unit, the number of the
            predicted class. None for the last layer that has a score for each of several classes.
        name: of the model, for messages.

    Raises:
        InvalidInput: if the model has no such layer.
    """
    found = _layer(info, layer, name)
    quantities = tuple(str(Unit(found.name, index)) for index in range(found.units))
    return Classes(quantities, found.labels)


def _layer(info: OracleInfo, layer: str | None, name: str) -> LayerInfo:
    flat = [one for one in info.layers if one.axes == ("unit",)]
    names = [one.name for one in flat]
    if layer is None:
        several = [one for one in flat if one.units > 1]
        if not several:
            raise InvalidInput(
                f"layer: {name} has no layer with a score for each of several classes; its layers "
                f"are {_some([one.name for one in info.layers])}; name one, or attack a "
                "classifier; one that tells only the number of a class must answer with a row of "
                "0 and one 1",
                field="layer",
            )
        return several[-1]
    if layer not in names:
        raise InvalidInput(
            f"layer: {name} has no layer {layer!r} with one number a class; such layers are "
            f"{_some(names)}{did_you_mean(layer, names)}",
            field="layer",
        )
    return flat[names.index(layer)]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[-6:]) or "none"
    return f"..., {shown}" if len(names) > 6 else shown
