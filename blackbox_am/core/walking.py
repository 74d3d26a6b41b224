"""Units of many layers, for one study that walks through a network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np

from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, UnknownUnit, did_you_mean

EVERY = "all"
"""The word for all layers."""


def chosen_units(
    info: OracleInfo,
    layers: str | Sequence[str] = EVERY,
    units_per_layer: int = 3,
    seed: int | None = None,
) -> list[str]:
    """Addresses of units of several layers, in the order of the computation.

    Args:
        info: the description of the oracle.
        layers: `all`, or names of layers separated by commas or as a list. `*` and `?` stand for
            any characters and for one: `layer?`, `blocks.*.mlp.fc1`.
        units_per_layer: number of units of each layer; of a smaller layer, all.
        seed: chooses units at random; without it they are evenly spaced, the middles of equal
            parts of the layer. A layer's units depend on no other layer.

    Raises:
        UnknownUnit: for a name that no layer has.
        InvalidSpec: for fewer than one unit.
    """
    if units_per_layer < 1:
        raise InvalidSpec(
            f"units of a layer: expected 1 or more, got {units_per_layer}", field="targets"
        )
    return [
        str(Unit(layer.name, index))
        for layer in _chosen(info, layers)
        for index in _indices(layer, units_per_layer, seed)
    ]


def _chosen(info: OracleInfo, layers: str | Sequence[str]) -> Iterable[LayerInfo]:
    patterns = layers.split(",") if isinstance(layers, str) else list(layers)
    patterns = [pattern.strip() for pattern in patterns]
    if EVERY in patterns:
        return info.layers
    names = [layer.name for layer in info.layers]
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
        if not matching:
            raise UnknownUnit(
                f"layers: no layer is called {pattern!r}{did_you_mean(pattern, names)}; "
                "`blackbox-am catalog units` lists them",
                field="targets",
            )
        found |= matching
    return [layer for layer in info.layers if layer.name in found]


def _indices(layer: LayerInfo, count: int, seed: int | None) -> list[int]:
    if count >= layer.units:
        return list(range(layer.units))
    if seed is None:
        return [(2 * place + 1) * layer.units // (2 * count) for place in range(count)]
    digest = hashlib.blake2b(f"{seed}|{layer.name}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    return sorted(rng.choice(layer.units, count, replace=False).tolist())
