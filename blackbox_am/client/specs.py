"""A study's specification from keyword arguments, as a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.expressions import objective
from blackbox_am.core.penalties import penalised
from blackbox_am.core.spec import (
    MAX_QUERIES,
    BaselineSpec,
    CriterionSpec,
    GeneratorSpec,
    ObjectiveSpec,
    SpaceSpec,
    StudySpec,
    from_plain,
    start_spec,
    to_plain,
)
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec, transforms_plain
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import specs
from blackbox_am.v1 import study_pb2 as pb


def study_message(
    *,
    targets: Sequence[str | ObjectiveSpec],
    generator: str | GeneratorSpec | None = None,
    space: SpaceSpec | None = None,
    oracle: str | None = None,
    penalties: Mapping[str, float] | None = None,
    criteria: Sequence[CriterionSpec] = (),
    optimizer: str = "auto",
    parameters: dict[str, Any] | None = None,
    queries_per_target: int = 1000,
    seconds: float | None = None,
    target_score: float | None = None,
    patience: int | None = None,
    seed: int | None = None,
    start: str | NDArray[Any] | None = None,
    baseline: str | BaselineSpec | None = None,
    transforms: TransformsSpec | Sequence[str | TransformSpec] | None = None,
    copies: int | None = None,
    recheck_fraction: float | None = None,
    labels: dict[str, str] | None = None,
    keep_latents: str = "best",
) -> pb.StudySpec:
    """The message for the arguments of `Client.create`.

    Raises:
        InvalidSpec: with the path of the wrong field.
    """
    budget = {
        "queries_per_target": queries_per_target,
        "seconds": seconds,
        "target_score": target_score,
        "patience": patience,
        "recheck_fraction": recheck_fraction,
    }
    spec = from_plain(
        StudySpec,
        {
            "targets": [
                to_plain(penalised(objective(target), penalties or {})) for target in targets
            ],
            "generator": to_plain(generator),
            "space": to_plain(space),
            "oracle": oracle,
            "criteria": to_plain(criteria),
            "optimizer": {"name": optimizer, "parameters": parameters or {}},
            "budget": budget,
            "seed": seed or 0,
            "start": to_plain(start_spec(start)),
            "baseline": {"images": baseline} if isinstance(baseline, str) else to_plain(baseline),
            "transforms": transforms_plain(transforms, copies),
            "labels": labels or {},
            "keep_latents": keep_latents,
        },
    )
    message = specs.study_to_proto(spec)
    if seed is None:
        message.ClearField("seed")
    return message


def extension(
    queries_per_target: int | None,
    seconds: float | None,
    target_score: float | None,
    patience: int | None,
) -> pb.Budget:
    """The limits to set, without limits that are None.

    Raises:
        InvalidInput: for invalid limits.
    """
    for name, limit in (("queries_per_target", queries_per_target), ("patience", patience)):
        if limit is not None and not 1 <= limit <= MAX_QUERIES:
            raise InvalidInput(
                f"{name} must be 1 or more, and at most {MAX_QUERIES}, got {limit}",
                field=f"budget.{name}",
            )
    return pb.Budget(
        queries_per_target=queries_per_target or 0,
        seconds=seconds,
        target_score=target_score,
        patience=patience,
    )
