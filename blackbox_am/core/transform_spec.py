"""The transformations of a study as plain data."""

from __future__ import annotations

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
    """

    chain: Annotated[
        tuple[TransformSpec, ...], msgspec.Meta(min_length=1, max_length=MOST_TRANSFORMS)
    ]
    copies: Annotated[int, msgspec.Meta(ge=1, le=MOST_COPIES)] = 8
    redraw: Literal["fixed", "generation"] = "fixed"
    clip: bool = True
