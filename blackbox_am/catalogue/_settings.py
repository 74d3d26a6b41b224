"""The parameters and inputs that a study may give to a generator of the catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.generator import Generator
from blackbox_am.errors import InvalidSpec, did_you_mean

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class StudySettings:
    """The parameters that a study may give to a generator of the catalogue.

    Attributes:
        parameters: names of the parameters that the study may set, sorted.
        inputs: names of the parameters that the study may give as arrays.
        needed: the names in `inputs` that have no value in the entry; the study must give them.
    """

    parameters: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def settings_of(name: str, maker: type[Generator], known: set[str], allowed: Any) -> StudySettings:
    """The parameters that a study may set of an entry whose parameters are `known`.

    Raises:
        InvalidSpec: if the operator allows a name that is not a parameter.
    """
    fields = {field.name: field for field in dataclasses.fields(maker)}  # type: ignore[arg-type]
    if not isinstance(allowed, (list, tuple)):
        raise InvalidSpec(
            f"[generators.{name}]: expected allow to be a list of parameters, got {allowed!r}",
            field=f"generators.{name}.allow",
        )
    for parameter in allowed:
        if parameter not in fields:
            near = did_you_mean(str(parameter), fields)
            raise InvalidSpec(
                f"[generators.{name}]: allow names {parameter!r}, which is no parameter of "
                f"{maker.kind}{near}",
                field=f"generators.{name}.allow",
            )
    inputs = maker.study_inputs
    missing = dataclasses.MISSING
    required = {
        key for key, field in fields.items() if field.default is field.default_factory is missing
    }
    return StudySettings(
        tuple(sorted(maker.study_parameters | set(allowed))),
        inputs,
        tuple(key for key in inputs if key in required and key not in known),
    )


def check_settings(
    name: str, may: StudySettings, parameters: Mapping[str, Any], inputs: Arrays
) -> None:
    """Checks the parameters and inputs that a study gives.

    Raises:
        InvalidSpec: for a parameter or input that the study may not give, and for a needed input
            that is missing.
    """
    for key in parameters:
        if key not in may.parameters:
            raise InvalidSpec(
                f"generator {name!r}: a study cannot set {key!r}; it can set "
                f"{', '.join(may.parameters) or 'nothing'}, and the operator can permit others "
                f'with allow = ["{key}"]',
                field=f"generator.parameters.{key}",
            )
    for key, array in inputs.items():
        if key not in may.inputs:
            raise InvalidSpec(
                f"generator {name!r}: it takes no input {key!r}; inputs of a study are "
                f"{', '.join(may.inputs) or 'none'}",
                field=f"generator.inputs.{key}",
            )
        if not isinstance(array, np.ndarray):
            raise InvalidSpec(
                f"generator {name!r}: expected the input {key!r} to be an array, got "
                f"{type(array).__name__}",
                field=f"generator.inputs.{key}",
            )
    for key in may.needed:
        if key not in inputs:
            raise InvalidSpec(
                f"generator {name!r}: it has no {key} of its own; bring them with the study, as "
                f"the input {key!r}",
                field=f"generator.inputs.{key}",
            )
