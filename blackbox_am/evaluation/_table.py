"""All quantities of a study in one table, and the columns of each target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.layout import Layout, form_of
from blackbox_am.core.measure import Rendered
from blackbox_am.core.objective import Objective
from blackbox_am.core.quantities import MeasureName, Quantity
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.plugins import measure


def check_measures(layouts: Sequence[Layout], generator: Generator | None) -> None:
    """Checks that the stimuli of `generator` have every measure.

    Raises:
        InvalidSpec: with the measure and its requirement.
    """
    for name in dict.fromkeys(name for layout in layouts for name in layout.measures):
        known = measure(str(name))
        if generator is None:
            raise InvalidSpec(
                f"{name} is measured where stimuli are rendered, and a study over a bare space "
                "renders none; name a generator, or leave this quantity out",
                field="targets.quantities",
            )
        known.check(tuple(generator.stimulus_shape))
        if known.compares and generator.references(torch.zeros(1, dtype=torch.int64)) is None:
            raise InvalidSpec(
                f"{name} compares stimuli with inputs, and this {generator.kind} generator works "
                "around none; use one that does, such as 'perturbation'",
                field="targets.quantities",
            )


def measured(
    generator: Generator,
    names: Sequence[MeasureName],
    latents: torch.Tensor,
    stimuli: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """(N, M) values of measures, for latents (N, D) and stimuli (N, *stimulus) of targets (N,)."""
    if not names:
        return torch.empty(len(latents), 0, device=stimuli.device)
    plug_ins = [(str(name), measure(str(name))) for name in names]
    references = None
    if any(plug_in.compares for _, plug_in in plug_ins):
        references = generator.references(targets.to(stimuli.device))
    rendered = Rendered(latents, stimuli, references)
    values = [plug_in.measure(name, rendered) for name, plug_in in plug_ins]
    return torch.stack([value.to(stimuli.device) for value in values], dim=1)


@dataclass(frozen=True)
class Table:
    """Columns of all quantities of all targets: units first, then measures.

    Attributes:
        objectives: one for each target.
        layouts: the measured quantities of each target.
    """

    objectives: tuple[Objective, ...]
    layouts: tuple[Layout, ...]

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Every unit, once."""
        return tuple(dict.fromkeys(unit for layout in self.layouts for unit in layout.units))

    @cached_property
    def measures(self) -> tuple[MeasureName, ...]:
        """Every measure, once."""
        return tuple(dict.fromkeys(name for layout in self.layouts for name in layout.measures))

    def own(self, table: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N, U + 1): from a table (N, Q + 1), each row's own quantities, filled up with nan; the
        last column, which belongs to all targets, is kept.
        """
        columns = self._on(table.device)[targets.to(table.device)]
        own = table.take_along_dim(columns.clamp_min(0), dim=1)
        return torch.cat([torch.where(columns >= 0, own, torch.nan), table[:, -1:]], dim=1)

    def total_score(self, table: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The sum of the rows' scores. A row's score depends on no other row, so the gradient of
        the sum contains the gradient of each row's score.
        """
        total = table.new_zeros(())
        kinds = self._kinds[targets]
        for kind in sorted(set(kinds.tolist())):
            # Objectives that differ only in their quantities are scored in one call.
            rows = (kinds == kind).nonzero().squeeze(1)
            first = self.objectives[int(targets[rows[0]])]
            columns = self._read[targets[rows], : len(first.reads())].to(table.device)
            own = table[rows.to(table.device)].take_along_dim(columns, dim=1)
            total = total + first.score(own).sum()
        return total

    def _on(self, device: torch.device) -> torch.Tensor:
        found = self._devices.get(device)
        if found is None:
            found = self._devices[device] = self._columns.to(device)
        return found

    @cached_property
    def _devices(self) -> dict[torch.device, torch.Tensor]:
        """`_columns`, cached for each device."""
        return {}

    @cached_property
    def _place(self) -> dict[Quantity, int]:
        everything: tuple[Quantity, ...] = (*self.units, *self.measures)
        return {one: column for column, one in enumerate(everything)}

    @cached_property
    def _columns(self) -> torch.Tensor:
        """(targets, U) the column of each quantity of a target's layout, then -1."""
        return _padded([[self._place[one] for one in la.quantities] for la in self.layouts])

    @cached_property
    def _read(self) -> torch.Tensor:
        """(targets, U) the column of each quantity that a target's objective reads, then -1."""
        return _padded([[self._place[one] for one in ob.reads()] for ob in self.objectives])

    @cached_property
    def _kinds(self) -> torch.Tensor:
        """(targets,) equal numbers for objectives that differ only in their quantities."""
        numbers: dict[object, int] = {}
        forms = [form_of(objective.spec()) for objective in self.objectives]
        return torch.tensor([numbers.setdefault(form, len(numbers)) for form in forms])


def _padded(rows: list[list[int]]) -> torch.Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([row + [-1] * (width - len(row)) for row in rows])
