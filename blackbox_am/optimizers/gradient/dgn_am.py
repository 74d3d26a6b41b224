"""Ascent in the codes of a generator network, with the published settings of DGN-AM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from blackbox_am.core.parameters import check
from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._parameters import positive, share
from blackbox_am.optimizers._slopes import even
from blackbox_am.optimizers.gradient._ascents import Ascents, AscentState
from blackbox_am.optimizers.gradient._schedules import Schedule


@dataclass
class DgnAmState(AscentState):
    """State of P ascents for each of K targets; see `AscentState`."""


@dataclass(frozen=True)
class DgnAm(Ascents[DgnAmState]):
    """DGN-AM: gradient ascent in the codes of a deep generator network, with normalised steps, a
    decay of the code, and a clipping of each of its coordinates.

    Source: A. Nguyen, A. Dosovitskiy, J. Yosinski, T. Brox and J. Clune, "Synthesizing the
    preferred inputs for neurons in neural networks via deep generator networks" (NeurIPS 2016),
    section 3 and supplement, and the authors' program: 200 iterations; the learning rate falls
    linearly from 8 to 1e-10; a code is clipped to [0, mean + 3 deviations], then multiplied by .99.

    The program makes two normalised steps: it moves the picture by rate g / mean|g|, pulls this
    move back through the generator, and moves the code along the result, normalised in the same
    way. A pull-back is linear, so the size of the first step cancels, and the direction of the
    second is that of the gradient of the score with respect to the code. This implementation is
    told that gradient, and makes the second step: the two agree, except where the program would cut
    the moved picture off at its range.

    It differs in the units. Lengths are deviations of the prior, and the published learning rate is
    in units of the codes of AlexNet's layer fc6; see `learning_rate`. In a box a code is clipped to
    the bounds of the box, so a generator whose space has the bounds 0 and mean + 3 deviations for
    each coordinate is clipped as published; elsewhere a code is clipped to `limit` deviations on
    both sides of the prior's mean. The decay pulls to the prior's mean unless `towards` says
    otherwise; the program's decay pulls to a code of 0, which is the mean in a normal space and not
    in a box.

    A search keeps the best measured row as `best`, and the last iterate, which the program reports
    on purpose, as its centre: the end of a search under noise reports the centre. With `restarts`
    the centre is the last iterate of the ascent with the highest last scores.

    Attributes:
        population: ascents side by side for each target.
        learning_rate: mean magnitude of a coordinate's first step, in deviations of the prior. The
            published 8 moves every coordinate with a gradient to one of its limits; with 200 rows
            it found 16 and 41 % less than .2 in the medians of two generators.
        schedule: how the learning rate falls during an ascent: `constant`, `cosine`, `linear` or
            `step` (see `_schedules`).
        final_rate: share of the learning rate at the end of an ascent.
        steps: steps of an ascent. None: the generations of the budget, divided by `restarts`.
        restarts: consecutive ascents of each row; those after the first begin at fresh samples.
        clip: largest Euclidean norm of the gradient of a row, before it is normalised; without
            effect here, and accepted so that all ascents have the same parameters. None: no limit.
        decay: factor on the distance of the code from `towards` after each step, in [0, 1].
        towards: `mean`, the prior's mean, or `zero`, a code of 0, as published.
        limit: largest distance of a coordinate from the prior's mean, in deviations, where the
            space has no bounds.
    """

    name: ClassVar[str] = "dgn_am"
    state_type: ClassVar[type[DgnAmState]] = DgnAmState

    learning_rate: float = 0.2
    schedule: Schedule = "linear"
    final_rate: float = 1e-10
    decay: float = 0.99
    towards: Literal["mean", "zero"] = "mean"
    limit: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        share(decay=self.decay)
        positive(limit=self.limit)
        check(self.towards in ("mean", "zero"), "towards", "mean or zero", self.towards)

    def step(
        self,
        frame: Frame,
        state: DgnAmState,
        here: torch.Tensor,
        slopes: torch.Tensor,
        steps: torch.Tensor,
        rate: torch.Tensor,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        del state, steps
        ahead = here + rate * even(slopes)
        low, high = frame.low.clamp(min=-self.limit), frame.high.clamp(max=self.limit)
        clipped = torch.minimum(torch.maximum(ahead, low), high)
        if self.towards == "mean":
            return self.decay * clipped, {}
        zero = frame.clamp(frame.inward(torch.zeros_like(frame.centre)))
        return zero + self.decay * (clipped - zero), {}
