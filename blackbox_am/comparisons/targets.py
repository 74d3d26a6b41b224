"""The targets of a comparison: units of the model, measures and expressions of them, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blackbox_am.core.expressions import objective
from blackbox_am.core.objective import Objective
from blackbox_am.core.penalties import penalised
from blackbox_am.core.quantities import Quantity, parse_quantity
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError
from blackbox_am.plugins import build_objective

NO_LAYER = "stimulus"
"""The layer of a target that reads no unit of the model."""


def spelled(target: str) -> str:
    """The address of a unit in its shortest spelling, and an expression as it is.

    Raises:
        InvalidInput: for a text that is not in the grammar of targets.
    """
    found = objective(target)
    if found.kind == "mean" and len(found.quantities) == 1:
        return found.quantities[0]
    return target.strip()


def quantities_of(target: str) -> tuple[Quantity, ...]:
    """The quantities that a target reads, each once.

    Raises:
        InvalidInput: for a text that is not in the grammar of targets.
    """
    return tuple(dict.fromkeys(map(parse_quantity, _names(objective(target)))))


def _names(spec: ObjectiveSpec) -> list[str]:
    return [*spec.quantities, *(name for term in spec.terms for name in _names(term))]


def layer_of(target: str) -> str:
    """The layer whose units a target reads; several layers are joined with `+`."""
    layers = dict.fromkeys(one.layer for one in quantities_of(target) if isinstance(one, Unit))
    return " + ".join(layers) or NO_LAYER


def specs_of(targets: Sequence[str], penalties: Mapping[str, float]) -> tuple[ObjectiveSpec, ...]:
    """The objective of each target, less the penalties."""
    return tuple(penalised(objective(target), penalties) for target in targets)


def objectives_of(targets: Sequence[str], penalties: Mapping[str, float]) -> list[Objective]:
    """The objectives of `specs_of`, which compute scores."""
    return [build_objective(spec) for spec in specs_of(targets, penalties)]


def check_different_targets(targets: Sequence[str]) -> None:
    """Check that no objective occurs twice, however it is written.

    Raises:
        ValueError: if one does, or for a text that is not in the grammar.
    """
    seen: list[ObjectiveSpec] = []
    for target in targets:
        try:
            found = objective(target)
        except BlackboxError as error:
            raise ValueError(f"units: {error.message}") from error
        if found in seen:
            raise ValueError(
                f"units: {spelled(target)!r} occurs more than once; each must be different, also "
                "where the text differs"
            )
        seen.append(found)


def check_penalties(penalties: Mapping[str, float]) -> None:
    """Check that penalties are measures with finite weights.

    Raises:
        ValueError: if they are not.
    """
    try:
        penalised(ObjectiveSpec("mean", ("units:0",)), penalties)
    except BlackboxError as error:
        raise ValueError(f"penalties: {error.message}") from error
