"""Specifications on the wire.

What comes in goes through `core.spec.from_plain`: one place checks types and ranges,
whatever door a specification came in by.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from blackbox_am.core.spec import (
    ArrayData,
    Budget,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StartSpec,
    StudySpec,
    from_plain,
    to_plain,
)
from blackbox_am.errors import InvalidSpec
from blackbox_am.rpc import names, tensors
from blackbox_am.v1 import study_pb2 as pb

EXACT_INTEGERS = 2**53
"""Struct knows doubles only: whole numbers beyond this would change on the way."""

_KEEP: dict[str, pb.KeepLatents.ValueType] = {
    "best": pb.KEEP_LATENTS_BEST,
    "all": pb.KEEP_LATENTS_ALL,
}


# Out


def study_to_proto(spec: StudySpec) -> pb.StudySpec:
    """A study's specification as a message.

    Raises:
        InvalidSpec: for a parameter that the wire cannot carry.
    """
    _check_carried(spec)
    return pb.StudySpec(
        generator="" if spec.generator is None else spec.generator.name,
        space=None if spec.space is None else space_to_proto(spec.space),
        oracle=spec.oracle or "",
        targets=[objective_to_proto(target) for target in spec.targets],
        optimizer=optimizer_to_proto(spec.optimizer),
        budget=budget_to_proto(spec.budget),
        seed=spec.seed,
        keep_latents=_KEEP[spec.keep_latents],
        labels=spec.labels,
        start=None if spec.start is None else _start_to_proto(spec.start),
    )


def optimizer_to_proto(spec: OptimizerSpec) -> pb.PlugIn:
    """An optimizer and its parameters as a message.

    Raises:
        InvalidSpec: for a parameter that the wire cannot carry.
    """
    return pb.PlugIn(name=spec.name, parameters=struct_to_proto(spec.parameters))


def space_to_proto(spec: SpaceSpec) -> pb.Space:
    """A space as a message."""
    return pb.Space(
        kind=pb.Space.Kind.Value(f"KIND_{spec.kind.upper()}"),
        dimension=spec.dimension,
        radius=spec.radius or 0.0,
        low=spec.low,
        high=spec.high,
        categories=spec.categories,
        parts=[space_to_proto(part) for part in spec.parts],
        image_shape=spec.image_shape,
    )


def objective_to_proto(spec: ObjectiveSpec) -> pb.Objective:
    """An objective as a message."""
    return pb.Objective(
        kind=spec.kind,
        units=spec.quantities,
        weights=spec.weights,
        terms=[objective_to_proto(term) for term in spec.terms],
    )


def budget_to_proto(budget: Budget) -> pb.Budget:
    """A budget as a message."""
    return pb.Budget(
        queries_per_target=budget.queries_per_target,
        seconds=budget.seconds,
        target_score=budget.target_score,
        patience=budget.patience,
    )


def struct_to_proto(values: dict[str, Any]) -> Struct:
    """Parameters as a Struct.

    Raises:
        InvalidSpec: for a value that is not plain data, or a whole number beyond 2^53.
    """
    struct = Struct()
    plain = to_plain(values)
    _check_integers(plain)
    try:
        struct.update(plain)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(
            f"parameters must be plain data (numbers, strings, lists, tables): {error}",
            field="optimizer.parameters",
        ) from error
    return struct


# In


def study_from_proto(message: pb.StudySpec) -> StudySpec:
    """The specification in `message`.

    Raises:
        InvalidSpec: naming the field at fault.
    """
    plain: dict[str, Any] = {
        "targets": [_objective(target) for target in message.targets],
        "budget": _budget(message.budget),
        "seed": message.seed,
        "labels": dict(message.labels),
    }
    if message.generator:
        plain["generator"] = message.generator
    if message.HasField("space"):
        plain["space"] = _space(message.space)
    if message.oracle:
        plain["oracle"] = message.oracle
    if message.HasField("optimizer"):
        plain["optimizer"] = {
            "name": message.optimizer.name,
            "parameters": struct_from_proto(message.optimizer.parameters),
        }
    if message.HasField("start"):
        plain["start"] = _start(message.start)
    if message.keep_latents != pb.KEEP_LATENTS_UNSPECIFIED:
        plain["keep_latents"] = _enum_word(pb.KeepLatents, message.keep_latents, "keep_latents")
    return from_plain(StudySpec, plain)


def space_from_proto(message: pb.Space) -> SpaceSpec:
    """The space in `message`.

    Raises:
        InvalidSpec: naming the field at fault.
    """
    return from_plain(SpaceSpec, _space(message))


def budget_from_proto(message: pb.Budget) -> Budget:
    """The budget in `message`.

    Raises:
        InvalidSpec: naming the field at fault.
    """
    return from_plain(Budget, _budget(message))


def extended_from_proto(message: pb.Budget, current: Budget) -> Budget:
    """`current`, with what `message` sets in its place.

    Raises:
        InvalidSpec: naming the field at fault.
    """
    news = _budget(message)
    if not message.queries_per_target:
        del news["queries_per_target"]
    return from_plain(Budget, {**to_plain(current), **news})


def struct_from_proto(struct: Struct) -> dict[str, Any]:
    """Parameters out of a Struct, whole numbers as int.

    Raises:
        InvalidSpec: for a number that is not finite.
    """
    try:
        plain: dict[str, Any] = json_format.MessageToDict(struct)
    except (json_format.Error, ValueError) as error:
        raise InvalidSpec(
            f"parameters must hold finite numbers: {error}", field="optimizer.parameters"
        ) from error
    return {key: _whole(value) for key, value in plain.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_INTEGERS:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _start_to_proto(spec: StartSpec) -> pb.Start:
    if spec.latents is None:
        return pb.Start(study=names.study_name(spec.study))
    return pb.Start(latents=tensors.to_proto(spec.latents.numpy()))


def _start(message: pb.Start) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if message.study:
        plain["study"] = names.study_id(message.study)
    if message.HasField("latents"):
        latents = tensors.from_proto(message.latents, field="start.latents")
        plain["latents"] = to_plain(ArrayData.of(latents))
    return plain


def _objective(message: pb.Objective) -> dict[str, Any]:
    return {
        "kind": message.kind,
        "quantities": list(message.units),
        "weights": list(message.weights),
        "terms": [_objective(term) for term in message.terms],
    }


def _budget(message: pb.Budget) -> dict[str, Any]:
    plain: dict[str, Any] = {"queries_per_target": message.queries_per_target}
    for name in ("seconds", "target_score", "patience"):
        if message.HasField(name):
            plain[name] = getattr(message, name)
    return plain


def _space(message: pb.Space) -> dict[str, Any]:
    return {
        "kind": _enum_word(pb.Space.Kind, message.kind, "kind"),
        "dimension": message.dimension,
        "radius": message.radius or None,
        "low": list(message.low),
        "high": list(message.high),
        "categories": message.categories,
        "parts": [_space(part) for part in message.parts],
        "image_shape": list(message.image_shape),
    }


def _enum_word(enum: Any, number: int, field: str) -> str:
    """`KIND_NORMAL` -> `normal`, `KEEP_LATENTS_ALL` -> `all`."""
    if number not in enum.values():
        raise InvalidSpec(f"{field}: unknown enum number {number}", field=field)
    return str(enum.Name(number)).rsplit("_", 1)[-1].lower()


def _check_integers(value: Any) -> None:
    if isinstance(value, int) and abs(value) > EXACT_INTEGERS:
        raise InvalidSpec(
            f"whole numbers in parameters must lie within 2^53, got {value}",
            field="optimizer.parameters",
        )
    for item in value.values() if isinstance(value, dict) else value if _listed(value) else ():
        _check_integers(item)


def _check_carried(spec: StudySpec) -> None:
    generator = spec.generator
    if spec.criteria or (generator is not None and (generator.parameters or generator.inputs)):
        raise InvalidSpec("the wire carries no criteria, and no generator parameters or inputs yet")


def _listed(value: Any) -> bool:
    return isinstance(value, (list, tuple))
