r"""The grammar of a unit's address: `layer[:selector][@position][!reduce]`.

Examples:
    ``fc:3``                        unit 3 of a linear layer
    ``layer4.1.conv2:121``          channel 121, mean over the map
    ``layer4.1.conv2:121@center``   the same channel at the middle of the map
    ``layer4.1.conv2:121@2,5``      ... at row 2, column 5
    ``blocks.6.mlp.fc1:713@cls``    an MLP neuron at the class token
    ``blocks.6.mlp.fc1:713@3``      ... at token 3
    ``blocks.6.mlp.fc1:713!max``    ... its maximum over the patch tokens
    ``blocks.6.attn.heads.3:17@5``  output channel 17 of attention head 3, at token 5
    ``layer2``                      the mean over every unit of the layer
    ``layer2!square``               the mean of the squares over the layer
    ``"initial:3-8:conv":5``        unit 5 of a layer whose name has other characters

A layer is a dotted module name; each attention head is a separate layer, addressed by its number
after `heads`. Where another module's output has an axis of heads, such as a norm of queries (N,
heads, tokens, dim), unit `head * dim + index` is the unit `index` of a head, and the units of
attention weights (N, heads, tokens, tokens) are the heads. Without a position, an activation with
more axes than `unit` is reduced over these axes by `reduce`, which is `mean` unless the address
names another reduction. `square` is the mean of the squares.

A layer's name may be any text that is not empty. A name that contains one of the characters
``: @ ! "``, a backslash, a control character, or a space at its start or end, is written in double
quotes. Inside the quotes ``\"`` stands for a quote and ``\\`` for a backslash. The whole name may
be quoted, or single parts of it: ``encoder."a:b".fc:3`` and ``"encoder.a:b.fc":3`` are equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.errors import CapabilityMissing, InvalidInput, UnknownUnit, did_you_mean

REDUCTIONS = ("mean", "max", "min", "sum", "square")

_QUOTED = r'"(?:[^"\\]|\\["\\])+"'
_BARE = r'(?! )[^.:@!"\\\x00-\x1f\x7f-\x9f]+(?<! )'
_SUFFIXES = (
    r"(?::(?P<index>\d{1,18}))?"
    r"(?:@(?P<position>center|cls|\d{1,18}(?:,\d{1,18})*))?"
    r"(?:!(?P<reduce>[a-z]+))?"
)
_PART = re.compile(f"{_QUOTED}|{_BARE}")
_GRAMMAR = re.compile(
    rf"(?P<layer>(?:{_QUOTED}|{_BARE})(?:\.(?:{_QUOTED}|{_BARE}))*){_SUFFIXES}", re.ASCII
)
_UNQUOTED = re.compile(r"\w[\w\-]*(\.[\w\-]+)*")
"""Names that `str` writes without quotes. `parse` accepts more names without quotes, such as ``act
1:2``.
"""
_LOOSE = re.compile(rf"(?P<layer>.+?){_SUFFIXES}", re.ASCII | re.DOTALL)
QUANTITY = rf"(?:{_QUOTED}|\w[\w\-]*)(?:\.(?:{_QUOTED}|[\w\-]+))*{_SUFFIXES}"
"""An address inside an expression (`core.expressions`): names with other characters are quoted."""
MEASURE = re.compile(r"(?:stimulus|latent)\.[a-z][a-z0-9_]*")
"""Names of measures (`core.quantities`): a layer with such a name is written in quotes."""

Position = str | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's address.

    Attributes:
        layer: dotted module name, without quotes.
        index: position on the layer's `unit` axis; None for all units.
        position: "center", "cls", a tuple of indices on the other axes, or None.
        reduce: the reduction of the remaining values to one number.
    """

    layer: str
    index: int | None = None
    position: Position = None
    reduce: str = "mean"

    def __str__(self) -> str:
        text = quoted(self.layer)
        if self.index is not None:
            text += f":{self.index}"
        if isinstance(self.position, tuple):
            text += "@" + ",".join(str(i) for i in self.position)
        elif self.position is not None:
            text += f"@{self.position}"
        if self.reduce != "mean":
            return f"{text}!{self.reduce}"
        return f'"{text}"' if MEASURE.fullmatch(text) else text

    @classmethod
    def parse(cls, text: str) -> Unit:
        """The inverse of `str`.

        Raises:
            InvalidInput: if `text` is not in the grammar.
        """
        return _parsed(text)


def _parsed(text: str) -> Unit:
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"{text[:120]!r} is not a unit; {_in_quotes(text)}expected "
            "layer[:index][@position][!reduce], such as 'fc:3', 'layer2.0.conv1:7@center' or "
            "'blocks.6.mlp.fc1:713!max'",
            field="units",
        )
    reduce = match["reduce"] or "mean"
    if reduce not in REDUCTIONS:
        raise InvalidInput(
            f"{text!r}: unknown reduction {reduce!r}{did_you_mean(reduce, REDUCTIONS)}",
            field="units",
        )
    index = None if match["index"] is None else int(match["index"])
    position: Position = match["position"]
    if isinstance(position, str) and position[0].isdigit():
        position = tuple(int(i) for i in position.split(","))
    parts = (_unquoted(part) for part in _PART.findall(match["layer"]))
    return Unit(".".join(parts), index, position, reduce)


def quoted(layer: str) -> str:
    """A layer's name as part of an address, in quotes if the name needs quotes."""
    if _UNQUOTED.fullmatch(layer):
        return layer
    escaped = layer.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part[1:-1]) if part[0] == '"' else part


def _in_quotes(text: str) -> str:
    """The address with quotes, as a hint, if only quotes are missing for the address of one
    unit.
    """
    match = _LOOSE.fullmatch(text)
    if match is None or match["index"] is None or match["layer"].startswith('"'):
        return ""
    hint = quoted(match["layer"]) + text[match.end("layer") :]
    return f"a name with other characters is written in quotes, {hint[:120]!r}; "


def find_layer(info: OracleInfo, unit: Unit) -> LayerInfo:
    """The layer that contains `unit`.

    Raises:
        UnknownUnit: if the oracle has no such layer.
    """
    for layer in info.layers:
        if layer.name == unit.layer:
            return layer
    for absent in info.unaddressable:
        if absent.name == unit.layer:
            raise UnknownUnit(
                f"unit {str(unit)!r}: layer {unit.layer!r} cannot be read: {absent.reason}",
                field="units",
            )
    near = did_you_mean(unit.layer, (layer.name for layer in info.layers))
    raise UnknownUnit(f"unit {str(unit)!r}: no layer {unit.layer!r}{near}", field="units")


def check_unit(info: OracleInfo, unit: Unit) -> None:
    """Checks that the oracle described by `info` has `unit`.

    Raises:
        UnknownUnit: for a layer, index or position that does not exist.
        CapabilityMissing: for a position on an oracle without the capability MAPS.
    """
    check_in_layer(info, find_layer(info, unit), unit)


def check_in_layer(info: OracleInfo, layer: LayerInfo, unit: Unit) -> None:
    """Checks that a layer has `unit`.

    Args:
        info: the oracle's description.
        layer: the layer that `find_layer` found for the unit.
        unit: the unit.

    Raises:
        UnknownUnit, CapabilityMissing: as `check_unit`.
    """
    if unit.index is not None and unit.index >= layer.units:
        raise UnknownUnit(
            f"unit {str(unit)!r}: layer {layer.name!r} has units 0 to {layer.units - 1}, "
            f"got {unit.index}",
            field="units",
        )
    if unit.position is None:
        return
    extents = [n for n, axis in zip(layer.shape, layer.axes, strict=True) if axis != "unit"]
    if not extents:
        raise UnknownUnit(
            f"unit {str(unit)!r}: layer {layer.name!r} has one value a unit and no "
            f"positions; leave out the '@'",
            field="units",
        )
    if Capability.MAPS not in info.capabilities:
        raise CapabilityMissing(
            f"unit {str(unit)!r}: a position needs the capability MAPS; this oracle has "
            f"{in_words(info.capabilities)}",
            field="units",
        )
    _check_position(unit, layer, extents)


def _check_position(unit: Unit, layer: LayerInfo, extents: list[int]) -> None:
    tokens = "token" in layer.axes
    if unit.position == "cls" and not tokens:
        raise UnknownUnit(
            f"unit {str(unit)!r}: layer {layer.name!r} has no tokens; use @center or @row,column",
            field="units",
        )
    if unit.position == "center" and tokens:
        raise UnknownUnit(
            f"unit {str(unit)!r}: layer {layer.name!r} has tokens; use @cls or @token",
            field="units",
        )
    if isinstance(unit.position, tuple) and (
        len(unit.position) != len(extents)
        or any(i >= n for i, n in zip(unit.position, extents, strict=True))
    ):
        raise UnknownUnit(
            f"unit {str(unit)!r}: positions in layer {layer.name!r} have shape {tuple(extents)}",
            field="units",
        )
