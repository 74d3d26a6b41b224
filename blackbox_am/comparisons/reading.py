"""A comparison from a TOML file.

The file has the fields of `ComparisonSpec`, with a table `[[methods]]` for each method. It may have
the tables `[oracles]`, `[generators]` and `[images]` of a server's configuration.
`catalogue.config_file` describes environment variables, relative paths and modules in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blackbox_am.catalogue import Catalogue, with_shipped
from blackbox_am.catalogue.config_file import read_tables
from blackbox_am.comparisons.problem import ComparisonSpec, spec_of
from blackbox_am.comparisons.targets import layer_of
from blackbox_am.core.spec import to_plain
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound

CATALOGUE = ("oracles", "generators", "images")
"""Tables of the file that are entries of the catalogue."""
QUICK_BUDGET, QUICK_SEEDS, QUICK_UNITS = 200, 1, 1


def read_config(path: Path) -> tuple[ComparisonSpec, Catalogue]:
    """The comparison in a TOML file, and the catalogue of its names: the shipped models and the
    entries of the file.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if it cannot be read, or if a key or a value is wrong; the message names the
            file.
    """
    try:
        tables = read_tables(path)
    except NotFound as error:
        raise NotFound(
            f"{error.message}; `blackbox-am compare --example > {path}` writes one"
        ) from error
    entries = {name: tables.pop(name) for name in CATALOGUE if name in tables}
    try:
        return spec_of(tables), Catalogue.from_plain(with_shipped(entries))
    except InvalidInput as error:
        raise InvalidSpec(f"{path}: {error.message}", field=error.field) from error


def changed(
    spec: ComparisonSpec,
    *,
    methods: Sequence[str] = (),
    units: Sequence[str] = (),
    budget: int | None = None,
    seeds: int | None = None,
    quick: bool = False,
) -> ComparisonSpec:
    """`spec` with other values.

    Args:
        spec: the comparison.
        methods: names of its methods, or of optimizers, in place of its methods.
        units: in place of its units.
        budget: query-equivalents for each unit and seed.
        seeds: number of seeds.
        quick: whether what is not given here is reduced to a first look: one unit of each layer,
            one seed and 200 query-equivalents.

    Raises:
        InvalidSpec: as `spec_of`.
    """
    plain: dict[str, Any] = to_plain(spec)
    if quick:
        plain |= _quick(spec)
    if methods:
        known = {method.name: method for method in spec.all_methods}
        plain["methods"] = [
            to_plain(known[name]) if name in known else {"name": name} for name in methods
        ]
        if spec.against not in methods:
            plain.pop("against", None)
    if units:
        plain["units"] = list(units)
        plain.pop("layers", None)
    given = {"budget": budget, "seeds": seeds}
    return spec_of(plain | {name: value for name, value in given.items() if value is not None})


def _quick(spec: ComparisonSpec) -> Mapping[str, Any]:
    plain: dict[str, Any] = {
        "budget": min(spec.budget, QUICK_BUDGET),
        "seeds": list(spec.all_seeds[:QUICK_SEEDS]),
    }
    if spec.units:
        first = {layer_of(unit): unit for unit in reversed(spec.units)}
        plain["units"] = [unit for unit in spec.units if unit in first.values()]
    else:
        plain["units_per_layer"] = QUICK_UNITS
    return plain
