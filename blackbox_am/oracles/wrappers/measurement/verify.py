"""A test of an oracle before its first study."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import OracleFailed

log = logging.getLogger(__name__)

UNITS = 16
ALIKE, APART = 1e-3, 1e-2
"""Limits on the distance of two answers, over the spread of rows: for answers to one stimulus, and
to different stimuli.
"""


@dataclass(frozen=True)
class Verify(Wrapper):
    """Tests the oracle once, when it is first described, as at the creation of the first study.

    The oracle gets `rows` random stimuli together, the same stimuli again, and each alone: 3 *
    rows rows, which are counted like any others. Answers in another order than the stimuli are
    an error, because a search would take the score of one candidate for that of another. An
    oracle that calls itself deterministic and answers differently the second time is described
    as not deterministic, so that a cache around it refuses it; a warning in the log says by how
    much the answers differ.

    Attributes:
        rows: number of stimuli of the test.

    Raises:
        OracleFailed: when it is described, for answers in another order.
    """

    kind: ClassVar[str] = "verify"

    rows: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check(2 <= self.rows <= 1024, "rows", "2 to 1024", self.rows)

    def around(self, info: OracleInfo) -> OracleInfo:
        layer = info.layers[-1]
        units = [Unit(layer.name, index) for index in range(min(layer.units, UNITS))]
        generator = torch.Generator().manual_seed(0)
        stimuli = torch.rand(self.rows, *info.stimulus_shape, generator=generator)
        with torch.no_grad():
            together = self._answers(stimuli, units)
            again = self._answers(stimuli, units)
            alone = torch.cat([self._answers(row[None], units) for row in stimuli])
        every = torch.stack([together, again, alone])
        if not every.isfinite().all():
            found = [
                word for word, has in (("nan", every.isnan()), ("inf", every.isinf())) if has.any()
            ]
            log.warning(
                "the %s oracle answers random stimuli with %s, so its answers cannot be compared; "
                "such rows count as failed",
                self.inner.kind,
                " and ".join(found),
            )
            return info
        for answers, how in ((again, "sent again"), (alone, "sent alone")):
            if _shuffled(together, answers):
                raise OracleFailed(
                    f"the {self.inner.kind} oracle answers {self.rows} stimuli in another order "
                    f"than they were sent in: {how}, they answer as others did before; have it "
                    "answer row by row"
                )
        difference = (again - together).abs().max().item()
        if difference and info.deterministic:
            log.warning(
                "the %s oracle says it is deterministic, and answers the same stimuli "
                "differently: by up to %.3g, where answers are up to %.3g",
                self.inner.kind,
                difference,
                together.abs().max().item(),
            )
            return replace(info, deterministic=False)
        return info

    def _answers(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        return self.ask(stimuli, units).to("cpu", torch.float64)


def _shuffled(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether rows (N, U) answered `after` are those of `before`, in another order.

    All rows must be present, and at least one row must clearly be in another row's place: noise
    alone does not bring a row so close to another.
    """
    spread = (before - before.mean(0)).abs().max()
    distances = (after[:, None] - before[None]).abs().amax(2)
    nearest, own = distances.amin(1), distances.diagonal()
    moved = (own > APART * spread) & (own > 10 * nearest)
    return bool((nearest <= ALIKE * spread).all() and moved.any())
