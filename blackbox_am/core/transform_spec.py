"""The transformations of a study as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

MOST_TRANSFORMS = 32
MOST_COPIES = 1024


class TransformSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A registered transformation and its parameters.

    Attributes:
        name: registered name, such as `jitter`.
        parameters: its parameters, by name; the others have their defaults.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class TransformsSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Random transformations under which a study's oracle sees each stimulus.

    The oracle observes `copies` transformed copies of each stimulus and answers with their mean. A
    candidate remains one query of the budget, and costs `copies` rows of the oracle. Natural
    images of a baseline are transformed too. Best stimuli, and measures of the stimulus such as
    `stimulus.tv`, are those without transformations.

    Attributes:
        chain: the transformations, in the order of their application.
        copies: number of copies of each stimulus.
        redraw: `fixed`: the transformations follow from the seed of the study and never change, so
            that all scores of the study can be compared. `generation`: they are drawn anew in each
            generation, as is usual for gradient ascent. A search that keeps the best of all scores
            would then keep the luckiest draw, so the study is treated as one with a noisy oracle: a
            part of the budget measures the centre of the search and the best row again, each time
            under new transformations, and the better mean is reported with its standard error.
        clip: whether the values of a copy are cut to [0, 1]. Without it, `colour` and `noise` can
            leave this range, as published for vision transformers; only for oracles that accept
            any values.
        seed: of the draws; the seed of the study if None. Studies with different seeds have the
            same transformations if they have this seed in common.
    """

    chain: Annotated[
        tuple[TransformSpec, ...], msgspec.Meta(min_length=1, max_length=MOST_TRANSFORMS)
    ]
    copies: Annotated[int, msgspec.Meta(ge=1, le=MOST_COPIES)] = 8
    redraw: Literal["fixed", "generation"] = "fixed"
    clip: bool = True
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None


def transforms_plain(given: Any, copies: int | None = None) -> Any:
    """The plain data of a `TransformsSpec` from its short form.

    Args:
        given: a `TransformsSpec`, or a sequence of names, `TransformSpec` and transformations; None
            or an empty sequence for no transformations.
        copies: number of copies of each stimulus, if `given` is a sequence; 8 if None.
    """
    if isinstance(given, TransformsSpec):
        plain: dict[str, Any] = msgspec.to_builtins(given)
    elif not given:
        return None
    else:
        several = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
        plain = {"chain": [_plain(one) for one in several]}
    return plain if copies is None else plain | {"copies": copies}


def _plain(given: Any) -> Any:
    if isinstance(given, str):
        return {"name": given}
    if dataclasses.is_dataclass(given):
        return {"name": getattr(given, "kind", ""), "parameters": dataclasses.asdict(given)}  # type: ignore[arg-type]
    return msgspec.to_builtins(given)
