"""The evaluator: objective of oracle of generator, in one fixed batch shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.generator import Generator, check_fit, check_latent_shape, check_targets
from blackbox_am.core.metering import observed
from blackbox_am.core.objective import Objective
from blackbox_am.core.oracle import Oracle, check_answer, check_gradients, check_units
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.types import ActivationArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    BlackboxError,
    GradientUnavailable,
    OracleFailed,
    OutOfMemory,
    ShapeMismatch,
)


@dataclass(frozen=True)
class Evaluation:
    """What was measured of K·P candidates.

    Attributes:
        activations: (K, P, U) float32, U the largest number of units of any objective of
            the evaluator. Row k holds target k's units in its objective's order, filled up
            with nan. A unit that could not be measured is nan, infinities included.
        gradients: (K, P, D), of each candidate's score with respect to its latent, on the
            device of the latents; None where they were not asked for.
    """

    activations: ActivationArray
    gradients: torch.Tensor | None = None


@dataclass(frozen=True)
class Evaluator:
    """Measures candidates: renders them, observes all units of all objectives, sorts them out.

    Generator and oracle only see batches of `batch_size` rows, so that an activation does
    not depend on who else is in its batch; a billable oracle is spared the padding. The same
    units are observed in every batch, whichever targets are still searched for.

    Attributes:
        generator: from latents to stimuli.
        oracle: from stimuli to activations.
        objectives: one a target.
        batch_size: rows in each call.

    Raises:
        UnknownUnit: where the oracle lacks a unit of an objective.
        CapabilityMissing: where it cannot read a unit that way.
        ShapeMismatch: where the generator's stimuli do not fit the oracle.
    """

    generator: Generator
    oracle: Oracle
    objectives: tuple[Objective, ...]
    batch_size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "objectives", tuple(self.objectives))
        check_evaluable(self.generator, self.oracle, self.objectives)

    def evaluate(
        self, latents: torch.Tensor, targets: Sequence[int], *, gradients: bool = False
    ) -> Evaluation:
        """Activations of candidates, and the gradients of their scores.

        Args:
            latents: (K, P, D).
            targets: for each of the K, the position of its objective in `objectives`.
            gradients: whether to follow the score back to the latents.

        Raises:
            ShapeMismatch: for latents of another shape or dtype.
            GradientUnavailable: where gradients are asked for and there are none.
            OracleError: where the oracle fails for a whole batch.
        """
        if latents.ndim != 3 or len(latents) != len(targets) or not latents.numel():
            raise ShapeMismatch(
                f"latents: expected shape ({len(targets)}, P, {self.generator.space.dim}) for "
                f"{len(targets)} targets, got {tuple(latents.shape)}",
                field="latents",
            )
        if gradients:
            check_evaluable(self.generator, self.oracle, self.objectives, gradients=True)
        flat = latents.flatten(0, 1).detach()
        check_latent_shape(self.generator.space, flat)
        wanted = torch.as_tensor(targets, dtype=torch.int64).repeat_interleave(latents.shape[1])
        activations, slopes = [], []
        for rows, mine in zip(
            torch.split(flat, self.batch_size), torch.split(wanted, self.batch_size), strict=True
        ):
            with self._memory():
                if gradients:
                    observed, slope = self._climb(rows, mine)
                    slopes.append(slope)
                else:
                    with torch.no_grad():
                        observed = self._observe(rows, mine)
                activations.append(self._own(observed, mine))
        joined = torch.cat(activations).reshape(*latents.shape[:2], -1)
        return Evaluation(
            joined.cpu().numpy(), torch.cat(slopes).reshape(latents.shape) if slopes else None
        )

    def _observe(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N, all units) for latents (N, D) of targets (N,), N at most the batch size."""
        render = self.generator.render_targets
        if self.oracle.billable:
            stimuli = in_fixed_batches(render, latents, self.batch_size, targets)
            return self._ask(stimuli)
        return in_fixed_batches(
            lambda rows, mine: self._ask(render(rows, mine)), latents, self.batch_size, targets
        )

    def _ask(self, stimuli: torch.Tensor) -> torch.Tensor:
        try:
            answer = observed(self.oracle, stimuli, self._units)
        except (BlackboxError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # an oracle is anyone's code, and its failure is an answer
            raise OracleFailed(
                f"the oracle raised {type(error).__name__} on {len(stimuli)} stimuli: {error}"
            ) from error
        check_answer(answer, len(stimuli), len(self._units))
        return answer

    def _own(self, observed: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N, U): of all units observed, each row's own, then nan."""
        columns = self._columns.to(observed.device)[targets.to(observed.device)]
        own = observed.detach().to(torch.float32).take_along_dim(columns.clamp_min(0), dim=1)
        return torch.where((columns >= 0) & own.isfinite(), own, torch.nan)

    def _climb(
        self, latents: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Activations (N, all units), and gradients (N, D) of each row's own score."""
        with torch.enable_grad():
            leaves = latents.clone().requires_grad_()
            observed = self._observe(leaves, targets)
            total = observed.new_zeros(())
            kinds = self._kinds[targets]
            for kind in sorted(set(kinds.tolist())):
                # Objectives that differ only in their units are scored in one go.
                rows = (kinds == kind).nonzero().squeeze(1)
                first = self.objectives[int(targets[rows[0]])]
                columns = self._columns[targets[rows], : len(first.reads())]
                own = observed[rows.to(observed.device)].take_along_dim(
                    columns.to(observed.device), dim=1
                )
                # A row's score depends on no other row, so the sum has each row's gradient.
                total = total + first.score(own).sum()
            (slopes,) = torch.autograd.grad(total, leaves)
        return observed, slopes

    @cached_property
    def _units(self) -> tuple[Unit, ...]:
        """Every unit of every objective, once."""
        return tuple(
            dict.fromkeys(unit for objective in self.objectives for unit in objective.reads())
        )

    @cached_property
    def _columns(self) -> torch.Tensor:
        """(objectives, U) positions in `_units` of each objective's units, then -1."""
        place = {unit: column for column, unit in enumerate(self._units)}
        rows = [[place[unit] for unit in objective.reads()] for objective in self.objectives]
        width = max(len(row) for row in rows)
        return torch.tensor([row + [-1] * (width - len(row)) for row in rows])

    @cached_property
    def _kinds(self) -> torch.Tensor:
        """(objectives,) equal numbers for objectives that differ only in their units."""
        forms = [_form(objective.spec()) for objective in self.objectives]
        numbers: dict[Any, int] = {}
        return torch.tensor([numbers.setdefault(form, len(numbers)) for form in forms])

    @contextmanager
    def _memory(self) -> Iterator[None]:
        try:
            yield
        except torch.cuda.OutOfMemoryError as error:
            raise OutOfMemory(
                f"a batch of {self.batch_size} candidates does not fit into the device's "
                "memory; give the oracle a smaller batch_size"
            ) from error


def check_evaluable(
    generator: Generator,
    oracle: Oracle,
    objectives: Sequence[Objective],
    *,
    gradients: bool = False,
) -> None:
    """Checks that generator, oracle and objectives fit together.

    Raises:
        UnknownUnit: where the oracle lacks a unit of an objective.
        CapabilityMissing: where it cannot read a unit that way.
        ShapeMismatch: where the generator's stimuli do not fit the oracle.
        InvalidSpec: where the generator is made for another number of targets.
        GradientUnavailable: where gradients are wanted and oracle or generator has none.
    """
    info = oracle.describe()
    check_units(info, [unit for objective in objectives for unit in objective.reads()])
    check_fit(generator, info, "the generator", "the oracle")
    check_targets(generator, len(objectives))
    if not gradients:
        return
    check_gradients(info, "an optimizer of order 1")
    if not generator.differentiable:
        raise GradientUnavailable(
            f"gradients were asked for, and this {generator.kind} generator has none; use a "
            "gradient-free optimizer such as 'cma'",
            field="optimizer.name",
        )


def _form(spec: ObjectiveSpec) -> tuple[Any, ...]:
    parameters = repr(sorted(spec.parameters.items()))
    terms = tuple(_form(term) for term in spec.terms)
    return (spec.kind, len(spec.quantities), spec.weights, parameters, terms)
