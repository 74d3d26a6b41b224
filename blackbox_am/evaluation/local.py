"""The evaluator in this process: generator, oracle and objectives, in one fixed batch shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from blackbox_am.core.batches import BatchSizes, in_fixed_batches
from blackbox_am.core.chain import Position, drawn_at, position
from blackbox_am.core.criterion import Criterion
from blackbox_am.core.generator import Generator, check_fit, check_latent_shape, check_targets
from blackbox_am.core.layout import Layout, layouts_of
from blackbox_am.core.metering import count, metering, observed
from blackbox_am.core.objective import Objective
from blackbox_am.core.observation import Observation
from blackbox_am.core.oracle import (
    Oracle,
    check_answer,
    check_gradients,
    check_units,
    failures_of,
)
from blackbox_am.core.repeating import afresh
from blackbox_am.core.types import Accounting, FloatArray
from blackbox_am.errors import GradientUnavailable, OutOfMemory
from blackbox_am.evaluation._backward import BackwardBatches
from blackbox_am.evaluation._table import Table, check_measures, measured
from blackbox_am.evaluation.evaluator import Rows


@dataclass(frozen=True)
class LocalEvaluator:
    """Renders candidates, observes all units of all objectives, and assigns the values to the
    targets.

    Generator and oracle receive only batches of `batch_size` rows, so that a value does not depend
    on the other rows of its batch; a billable oracle receives no padding. For fewer rows, such as
    those of the targets that have not finished, batches are smaller if generator and oracle give
    the same bits in them, which is tested (`BatchSizes`). The same units are
    observed in every batch, whatever targets are still active. The oracle does not receive a
    stimulus that is not finite: a billable oracle receives a smaller batch, another oracle receives
    zeros instead. A backward pass that does not fit into memory is repeated in halves.

    Attributes:
        generator: from latents to stimuli.
        oracle: from stimuli to activations.
        objectives: one for each target.
        batch_size: rows in each call of the whole size.
        criteria: one for each target, or none; their quantities are measured too.

    Raises:
        UnknownUnit: if the oracle lacks a unit of an objective.
        CapabilityMissing: if the oracle cannot read a unit in the requested way.
        ShapeMismatch: if the generator's stimuli do not fit the oracle.
        InvalidSpec: for a measure that does not exist, or that these stimuli do not have.
    """

    generator: Generator
    oracle: Oracle
    objectives: tuple[Objective, ...]
    batch_size: int
    criteria: tuple[Criterion, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "criteria", tuple(self.criteria))
        check_evaluable(self.generator, self.oracle, self.objectives, self.criteria)

    @property
    def billable(self) -> bool:
        """Whether the oracle's rows cost something."""
        return self.oracle.billable

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """The measured quantities of each target."""
        return layouts_of(self.objectives, self.criteria)

    def submit(self, rows: Rows, *, gradients: bool = False) -> Future[Observation]:
        """Measures `rows` on the caller's thread. See `Evaluator.submit`."""
        if gradients:
            check_evaluable(
                self.generator, self.oracle, self.objectives, self.criteria, gradients=True
            )
        check_latent_shape(self.generator.space, rows.latents)
        future: Future[Observation] = Future()
        try:
            future.set_result(self._fitted(rows, gradients))
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            future.set_exception(error)
        return future

    def observe(self, stimuli: torch.Tensor, batch_size: int) -> tuple[tuple[str, ...], FloatArray]:
        """Measures stimuli that no generator has rendered, such as natural images.

        Args:
            stimuli: (N, *stimulus) in [0, 1]. They have no latents and no inputs to be compared
                with.
            batch_size: rows in each call.

        Returns:
            The names of all quantities, and their values (N, Q).
        """
        values = []
        for piece in torch.split(stimuli, batch_size):
            with torch.no_grad(), self._memory():
                if self.oracle.billable:
                    table = self._measure_given(piece)
                else:
                    table = in_fixed_batches(self._measure_given, piece, batch_size)
                values.append(table[:, :-1])
        names = tuple(map(str, (*self._table.units, *self._table.measures)))
        return names, torch.cat(values).cpu().numpy()

    def _measure_given(self, stimuli: torch.Tensor) -> torch.Tensor:
        nothing = torch.zeros(len(stimuli), self.generator.space.dim, device=stimuli.device)
        return self._measure(nothing, stimuli, torch.zeros(len(stimuli), dtype=torch.int64))

    def _fitted(self, rows: Rows, gradients: bool) -> Observation:
        """The observation of `rows` in batches of a size that gives the bits of `batch_size`."""
        if gradients or self.billable or not len(rows):
            return self._measured(rows, self.batch_size, gradients=gradients)
        found = self._measured(rows, self._sizes.of(len(rows)))
        size = self._sizes.to_test(len(rows))
        if size is None:
            return found
        with afresh():
            again = self._measured(rows, size)
        differs = found.values.tobytes() != again.values.tobytes()
        self._sizes.tested(size, equal=_different_values(found), differs=differs)
        return replace(found, usage=found.usage + again.usage)

    def _measured(self, rows: Rows, size: int, *, gradients: bool = False) -> Observation:
        targets = torch.from_numpy(rows.targets)
        values, slopes = [], []
        with metering() as meter:
            for start in range(0, len(rows), size):
                piece = slice(start, start + size)
                latents, mine = rows.latents[piece].detach(), targets[piece]
                with self._memory(), drawn_at(_position(rows, piece)):
                    if gradients:
                        table, slope = self._backward.over(self._climb, latents, mine, size)
                        slopes.append(slope)
                    else:
                        with torch.no_grad():
                            table = self._observe(latents, mine, size)
                    values.append(self._table.own(table, mine))
        # The only transfer to the host for a generation.
        host = torch.cat(values).cpu().numpy()
        return Observation(
            rows.targets,
            rows.rows,
            self._names,
            host[:, :-1],
            host[:, -1] > 0,
            meter.total,
            torch.cat(slopes) if slopes else None,
        )

    def _observe(self, latents: torch.Tensor, targets: torch.Tensor, size: int) -> torch.Tensor:
        """(N, Q + 1) float64 for latents (N, D) of targets (N,), N at most the batch size `size`:
        all quantities, and whether the stimulus is finite.
        """
        render = self.generator.render_targets
        if self.oracle.billable:
            stimuli = in_fixed_batches(render, latents, size, targets)
            return self._measure(latents, stimuli, targets)
        return in_fixed_batches(
            lambda rows, mine: self._measure(rows, render(rows, mine), mine),
            latents,
            size,
            targets,
        )

    def _measure(
        self, latents: torch.Tensor, stimuli: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        finite = stimuli.flatten(1).isfinite().all(1)
        units = self._units_of(stimuli, finite)
        measures = measured(self.generator, self._table.measures, latents, stimuli, targets)
        table = torch.cat([units, measures.to(units)], dim=1)
        table = torch.where(finite.to(table.device)[:, None], table, torch.nan)
        return torch.cat([table, finite.to(table)[:, None]], dim=1)

    def _units_of(self, stimuli: torch.Tensor, finite: torch.Tensor) -> torch.Tensor:
        """(N, all units) float64; the values for a stimulus that is not finite are undefined."""
        if not self._table.units:
            return torch.empty(len(stimuli), 0, dtype=torch.float64, device=stimuli.device)
        if not self.oracle.billable:
            shape = (-1, *(1,) * (stimuli.ndim - 1))
            shown = torch.where(finite.reshape(shape), stimuli, torch.zeros_like(stimuli))
            return self._ask(shown)
        good = finite.nonzero().squeeze(1)
        if len(good) == len(stimuli):
            return self._ask(stimuli)
        with drawn_at(position().only(finite)):
            return self._ask_good(stimuli, good)

    def _ask_good(self, stimuli: torch.Tensor, good: torch.Tensor) -> torch.Tensor:
        """The values of the stimuli at the places `good`, and nan for the others."""
        answer = torch.full(
            (len(stimuli), len(self._table.units)), torch.nan, dtype=torch.float64
        ).to(stimuli.device)
        return (
            answer.index_copy(0, good, self._ask(stimuli[good]).to(answer)) if len(good) else answer
        )

    def _ask(self, stimuli: torch.Tensor) -> torch.Tensor:
        with failures_of(len(stimuli)):
            answer = observed(self.oracle, stimuli, self._table.units)
        check_answer(answer, len(stimuli), len(self._table.units))
        return answer.to(torch.float64)

    def _climb(
        self, latents: torch.Tensor, targets: torch.Tensor, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The table (N, Q + 1), and gradients (N, D) of each row's own score."""
        with torch.enable_grad():
            leaves = latents.clone().requires_grad_()
            with metering() as forward:
                table = self._observe(leaves, targets, size)
            total = self._table.total_score(table, targets)
            slopes = None
            if total.requires_grad:
                (slopes,) = torch.autograd.grad(total, leaves, allow_unused=True)
            if slopes is None:
                raise GradientUnavailable(
                    f"oracle {self.oracle.kind!r}: its answers do not depend on the stimuli by "
                    "operations that PyTorch differentiates; its code may detach tensors, or run "
                    "under no_grad or in numpy. Take an optimizer of order 0, such as auto"
                )
        seen = forward.total.rows - forward.total.retried_rows
        count(Accounting(backward_rows=seen))
        return table, slopes

    @cached_property
    def _backward(self) -> BackwardBatches:
        return BackwardBatches()

    @cached_property
    def _sizes(self) -> BatchSizes:
        return BatchSizes(self.batch_size)

    @cached_property
    def _table(self) -> Table:
        return Table(self.objectives, self.layouts)

    @cached_property
    def _names(self) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(map(str, layout.quantities)) for layout in self.layouts)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        try:
            yield
        except torch.cuda.OutOfMemoryError as error:
            raise OutOfMemory(
                f"a batch of {self.batch_size} candidates does not fit into the device's "
                "memory; give the oracle a smaller batch_size"
            ) from error


def _position(rows: Rows, piece: slice) -> Position:
    """The position of a batch, for oracles that transform stimuli anew in each generation."""
    return Position(rows.generation, tuple(rows.rows[piece].tolist()) if rows.apart else None)


def _different_values(found: Observation) -> int:
    """The number of different values of the quantity of a target that has the fewest."""
    return min(
        len(np.unique(found.values[found.targets == target, column]))
        for target in np.unique(found.targets)
        for column in range(len(found.quantities[target]))
    )


def check_evaluable(
    generator: Generator,
    oracle: Oracle,
    objectives: Sequence[Objective],
    criteria: Sequence[Criterion] = (),
    *,
    gradients: bool = False,
) -> None:
    """Checks that generator, oracle, objectives and criteria fit together.

    Raises:
        UnknownUnit: if the oracle lacks a unit of an objective or criterion.
        CapabilityMissing: if the oracle cannot read a unit in the requested way.
        ShapeMismatch: if the generator's stimuli do not fit the oracle.
        InvalidSpec: if the generator is made for another number of targets, or for a measure
            that does not exist or that its stimuli do not have.
        GradientUnavailable: if gradients are requested and the oracle or the generator has none.
    """
    info = oracle.describe()
    layouts = layouts_of(objectives, criteria)
    check_units(info, list(dict.fromkeys(unit for layout in layouts for unit in layout.units)))
    check_fit(generator, info, "the generator", "the oracle")
    check_targets(generator, len(objectives))
    check_measures(layouts, generator)
    if not gradients:
        return
    check_gradients(info, "an optimizer of order 1")
    if not generator.differentiable:
        raise GradientUnavailable(
            f"gradients were asked for, and this {generator.kind} generator has none; use a "
            "gradient-free optimizer such as 'cma'",
            field="optimizer.name",
        )
