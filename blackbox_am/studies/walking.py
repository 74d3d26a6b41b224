"""Targets of a study that walks through a network layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.walking import EVERY, chosen_units


def units_of_layers(
    oracle: Oracle | OracleInfo | str,
    layers: str | Sequence[str] = EVERY,
    units_per_layer: int = 3,
    *,
    seed: int | None = None,
    catalogue: Catalogue | None = None,
) -> list[str]:
    """Addresses of units of several layers, as targets of one study::

        targets = units_of_layers("cifar_vit", "blocks.*.mlp.fc1,head", 3)
        result = maximise(oracle="cifar_vit", generator="cifar_vae", targets=targets)

    Args:
        oracle: the model, its description, or its name in the catalogue.
        layers: `all`, or names of layers separated by commas or as a list, in which `*` and `?`
            stand for any characters and for one. The units come in the order of the computation.
        units_per_layer: number of units of each layer; of a smaller layer, all.
        seed: chooses units at random; without it they are evenly spaced.
        catalogue: the catalogue of the name; the shipped models if None.

    Raises:
        NotFound: for a name that is not in the catalogue.
        UnknownUnit: for a layer that the model does not have.
        InvalidSpec: for fewer than one unit.
    """
    if isinstance(oracle, str):
        oracle = (catalogue or Catalogue.default()).oracle(oracle)
    info = oracle.describe() if isinstance(oracle, Oracle) else oracle
    return chosen_units(info, layers, units_per_layer, seed)
