"""The mean answer over randomly transformed copies of each stimulus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.chain import Chain, position
from blackbox_am.core.oracle import Oracle, check_stimuli
from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Drawn, Transform
from blackbox_am.core.transform_spec import MOST_COPIES
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Transformed(Wrapper):
    """Presents several randomly transformed copies of each stimulus, and answers with the mean.

    A stimulus that excites a unit only at its exact position scores less then (transformation
    robustness: Olah, Mordvintsev, Schubert, "Feature Visualization", 2017). A stimulus costs
    `copies` rows. Gradients pass through. Copies whose answer failed (nan) are left out of the
    mean. The best stimulus of a study is not transformed, and measures of the stimulus are those of
    the untransformed stimulus.

    With `redraw` "fixed", the transformations follow from `seed` alone and are the same for every
    stimulus: the oracle repeats its answers, and scores of different generations can be compared.
    A search can overfit to few transformations: check its result on more of them, drawn from
    another seed (`evaluation.robustness`).

    With `redraw` "generation", they are drawn anew in each generation of a study, and are the same
    for all stimuli of a generation, so that ranks within the generation are fair. The scores of
    different generations then have different draws, and a search that kept the best of all scores
    would keep the luckiest draw. So the oracle says that it is not deterministic, and a study
    treats it as a noisy one: it reports the centre of its search or its best row, whichever has
    the larger mean in a re-check at the end, with the standard error. Each row of the re-check has
    draws of its own.

    Attributes:
        transforms: the transformations, in the order of their application. In a configuration, a
            list of tables with `name` and `parameters`.
        copies: number of copies of each stimulus.
        redraw: `fixed` or `generation`.
        clip: whether the values of a copy are cut to [0, 1], the values that oracles accept.
        seed: of the draws.

    Raises:
        InvalidSpec: for parameters that do not fit together; on the first use, where the model
            takes stimuli that cannot be transformed.
    """

    kind: ClassVar[str] = "transformed"
    changes_answers: ClassVar[bool] = True

    transforms: tuple[Any, ...] = ()
    copies: int = 8
    redraw: Literal["fixed", "generation"] = "fixed"
    clip: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "transforms", tuple(self.transforms))
        check(len(self.transforms) > 0, "transforms", "one transformation or more", ())
        for one in self.transforms:
            check(isinstance(one, Transform), "transforms", "transformations", one)
        check(1 <= self.copies <= MOST_COPIES, "copies", f"1 to {MOST_COPIES}", self.copies)
        modes = ("fixed", "generation")
        check(self.redraw in modes, "redraw", " or ".join(modes), self.redraw)
        planned = next((one.kind for one in self.transforms if one.has_schedule), None)
        if planned is not None and self.redraw == "fixed":
            raise InvalidSpec(
                f"transforms: {planned} has a schedule over generations, and the draws are fixed; "
                "set redraw to 'generation', or leave the schedule out",
                field="transforms",
            )

    def around(self, info: OracleInfo) -> OracleInfo:
        self._chain.check(info.stimulus_shape)
        vars(self)["_batch_size"] = info.batch_size
        return replace(
            info,
            batch_size=max(1, info.batch_size // self.copies),
            deterministic=info.deterministic and self.redraw == "fixed",
        )

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        check_stimuli(self.describe(), stimuli)
        at = position()
        if self.redraw == "fixed":
            changes = self._drawn(0, 0)
        elif at.rows is None:
            changes = self._drawn(at.generation, 0)
        else:
            changes = self._apart(at.generation, at.rows)
        together = max(1, vars(self)["_batch_size"] // max(len(stimuli), 1))
        answers = []
        for start in range(0, self.copies, together):
            chosen = changes[start : start + together]
            answer = self.ask(torch.cat([change(stimuli) for change in chosen]), units)
            answers.append(answer.reshape(len(chosen), len(stimuli), len(units)))
        return torch.cat(answers).nanmean(dim=0)

    @cached_property
    def _chain(self) -> Chain:
        return Chain(self.transforms, self.seed, self.clip)

    @cached_property
    def _drawn(self) -> Callable[[int, int], list[Drawn]]:
        """The changes of all copies, by the generation and the number of a row's own draws."""
        return lru_cache(maxsize=1)(self._draw)

    def _draw(self, generation: int, row: int) -> list[Drawn]:
        shape = self.describe().stimulus_shape
        first = row * self.copies
        return [self._chain.draw(shape, generation, first + copy) for copy in range(self.copies)]

    def _apart(self, generation: int, rows: tuple[int, ...]) -> list[Drawn]:
        """The changes of all copies, in which each row of a batch has draws of its own."""
        drawn = {row: self._draw(generation, row) for row in set(rows)}

        def change_of(copy: int) -> Drawn:
            def change(stimuli: torch.Tensor) -> torch.Tensor:
                # The rows at the end that fill up the batch have the draws of the last row.
                numbers = rows + rows[-1:] * (len(stimuli) - len(rows))
                pieces = zip(torch.split(stimuli, 1), numbers, strict=True)
                return torch.cat([drawn[row][copy](piece) for piece, row in pieces])

            return change

        return [change_of(copy) for copy in range(self.copies)]


def draws_anew(oracle: Oracle) -> bool:
    """Whether the answers of `oracle` depend on the generation of the study that asks."""
    while isinstance(oracle, Wrapper):
        if isinstance(oracle, Transformed) and oracle.redraw == "generation":
            return True
        oracle = oracle.inner
    return False
