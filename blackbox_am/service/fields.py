"""The path of the wrong field, starting from the request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.quantities import MeasureName, parse_quantity
from blackbox_am.core.spec import CriterionSpec, ObjectiveSpec, StudySpec
from blackbox_am.core.units import check_unit
from blackbox_am.errors import BlackboxError, InvalidInput, NotFound, Unsupported
from blackbox_am.plugins import build_criterion, build_objective, build_optimizer, measure


@contextmanager
def under(root: str) -> Iterator[None]:
    """Prefix the field of an error that is raised inside with `root`: `spec` -> `spec.seed`."""
    try:
        yield
    except (InvalidInput, NotFound, Unsupported) as error:
        error.field = f"{root}.{error.field}" if error.field else root
        raise


def check_targets(wanted: Iterable[int], targets: int) -> None:
    """Checks the targets that a request names.

    Args:
        wanted: the numbers.
        targets: number of targets of the study.

    Raises:
        InvalidInput: for a number that the study does not have.
    """
    strange = sorted(target for target in wanted if not 0 <= target < targets)
    if strange:
        raise InvalidInput(
            f"targets: the study has targets 0 to {targets - 1}, got {strange[0]}", field="targets"
        )


@contextmanager
def of_spec(spec: StudySpec, oracle: Oracle | None) -> Iterator[None]:
    """Find the field of `spec` that an error inside the context is about.

    A check knows an objective, a unit or a parameter, but not its place in the specification.
    """
    try:
        yield
    except (InvalidInput, NotFound, Unsupported) as error:
        field = error.field.partition(".")[0].partition("[")[0]
        if field not in StudySpec.__struct_fields__ or error.field.startswith(
            ("targets.", "criteria.")
        ):
            error.field = _find(spec, oracle) or error.field
        elif error.field == "generator" and isinstance(error, NotFound):
            error.field = "generator.name"
        elif (
            error.field == "optimizer" and _of(lambda: build_optimizer(spec.optimizer)) is not None
        ):
            error.field = "optimizer.name"
        raise


def _find(spec: StudySpec, oracle: Oracle | None) -> str:
    """The field of `spec` that is wrong by itself; empty if there is none."""
    found = _of(lambda: build_optimizer(spec.optimizer))
    if found is not None:
        return f"optimizer.{'name' if found in ('', 'optimizer') else found}"
    for index, target in enumerate(spec.targets):
        place = _find_in(target, f"targets[{index}]", oracle)
        if place:
            return place
    for index, criterion in enumerate(spec.criteria):
        place = _find_in(criterion, f"criteria[{index}]", oracle)
        if place:
            return place
    return ""


def _find_in(node: ObjectiveSpec | CriterionSpec, path: str, oracle: Oracle | None) -> str:
    terms: Sequence[ObjectiveSpec | CriterionSpec] = node.terms
    for index, term in enumerate(terms):
        place = _find_in(term, f"{path}.terms[{index}]", oracle)
        if place:
            return place
    for index, quantity in enumerate(node.quantities):
        if _of(partial(_read, quantity, oracle)) is not None:
            return f"{path}.quantities[{index}]"
    found = _of(partial(_build, node))
    if found is None:
        return ""
    field = re.sub(r"^(targets|criteria|parameters)\.", "", found)
    if field in ("objective", "criterion"):  # there is none of that kind
        return f"{path}.kind"
    if field in ("", "targets", "criteria", "parameters"):
        return path
    own = field in type(node).__struct_fields__ or field.startswith("parameters")
    return f"{path}.{field}" if own else f"{path}.parameters.{field}"


def _build(node: ObjectiveSpec | CriterionSpec) -> object:
    return build_criterion(node) if isinstance(node, CriterionSpec) else build_objective(node)


def _read(quantity: str, oracle: Oracle | None) -> None:
    read = parse_quantity(quantity)
    if isinstance(read, MeasureName):
        measure(read.name)
    elif oracle is not None:
        check_unit(oracle.describe(), read)


def _of(check: Callable[[], object]) -> str | None:
    """The field of the error that `check` raises; None if it raises none."""
    try:
        check()
    except BlackboxError as error:
        return error.field
    return None
