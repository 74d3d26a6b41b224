"""Rows of a table: bounded numbers, integers and categories."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec
import torch

from blackbox_am.core.generator import Generator, check_latent_shape
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec

Value = str | bool | int | float


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column: a number between bounds, or one of some categories.

    Attributes:
        name: what it is called.
        low, high: bounds, both included.
        integer: whether only whole numbers between them are meant.
        categories: its values, where it has no bounds.
        encoding: how the model takes a category: `code`, its place among them in one feature,
            or `one_hot`, a feature for each, 1 for the one that it is and 0 for the others.

    Raises:
        InvalidSpec: where they do not fit together.
    """

    name: str
    low: float | None = None
    high: float | None = None
    integer: bool = False
    categories: tuple[Value, ...] = ()
    encoding: Literal["code", "one_hot"] = "code"

    def __post_init__(self) -> None:
        if self.categories:
            if not (self.low is None and self.high is None) or self.integer:
                raise self._wrong("give it categories, or bounds, not both")
            if len(set(self.categories)) != len(self.categories):
                raise self._wrong("its categories must differ")
            return
        low, high = self.low, self.high
        if low is None or high is None:
            raise self._wrong("expected low and high, or categories")
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise self._wrong(f"expected finite bounds, low at most high, got {low} and {high}")
        if self.integer and not (low == int(low) and high == int(high)):
            raise self._wrong(f"expected whole bounds, got {low} and {high}")

    @property
    def bounds(self) -> tuple[float, float]:
        """Of each of its features, as the model takes them."""
        if self.categories:
            return 0.0, 1.0 if self.encoding == "one_hot" else float(len(self.categories) - 1)
        assert self.low is not None  # checked when it was made
        assert self.high is not None  # as above
        return self.low, self.high

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it becomes."""
        if self.categories and self.encoding == "one_hot":
            return tuple(f"{self.name}={value}" for value in self.categories)
        return (self.name,)

    @property
    def choices(self) -> int:
        """How many values it can have; 0 for a real number."""
        if self.categories:
            return len(self.categories)
        low, high = self.bounds
        return round(high - low) + 1 if self.integer else 0

    def _wrong(self, what: str) -> InvalidSpec:
        return InvalidSpec(f"column {self.name!r}: {what}", field="columns")


@dataclass(frozen=True)
class Table(Generator):
    """Rows of a table, for models of trees and the like. A stimulus is one row of features.

    The latent is a box [0, 1], one coordinate a column. A real number is its place between
    the bounds; an integer or a category takes one of its values, each of which has an equal
    share of [0, 1]. Stimuli are in [0, 1] too: 0 is a feature's `low` and 1 its `high`. The
    oracle `sklearn` turns them back, with the parameters `low` and `high` of this
    generator's properties `low` and `high`; in float32, so that a whole number arrives to
    some 10^-7 of its range. The order of categories is that of the box: neighbours in it
    are neighbours to a search, whatever they mean.

    Attributes:
        columns: the schema, tables of `Column`'s attributes in a configuration file;
            `Table.of` reads it from a DataFrame.

    Raises:
        InvalidSpec: where there is no column, two are called the same, or one is wrong.
    """

    kind: ClassVar[str] = "table"

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if not self.columns:
            raise InvalidSpec("columns: expected one column or more, got none", field="columns")
        names = [column.name for column in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise InvalidSpec(f"columns: two are called {name!r}", field="columns")

    @classmethod
    def of(cls, frame: Any, encoding: Literal["code", "one_hot"] = "code") -> Table:
        """The table whose bounds and categories are those of a pandas DataFrame.

        Columns of floating-point numbers and of integers become numbers between their
        smallest and largest value, missing ones left out; all others categories, sorted,
        or in the order of a categorical dtype.

        Args:
            frame: a DataFrame, or what has its `columns`, `dtypes` and columns by name.
            encoding: of all its categories.

        Raises:
            InvalidSpec: where it is no DataFrame, or a column has no value.
        """
        if not (hasattr(frame, "columns") and hasattr(frame, "dtypes")):
            raise InvalidSpec(
                f"frame: expected a pandas DataFrame, got {type(frame).__name__}", field="columns"
            )
        return cls(tuple(_column(frame[name], str(name), encoding) for name in frame.columns))

    @property
    def space(self) -> Space:
        return build_space(SpaceSpec("box", len(self.columns), low=(0.0,), high=(1.0,)))

    @property
    def differentiable(self) -> bool:
        """Whether all columns are real numbers."""
        return not any(column.choices for column in self.columns)

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return (len(self.features),)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The name of each feature."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def low(self) -> tuple[float, ...]:
        """What a stimulus of 0 means, for each feature."""
        return self._bounds(0)

    @property
    def high(self) -> tuple[float, ...]:
        """What a stimulus of 1 means, for each feature."""
        return self._bounds(1)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        values = latents.to(torch.float32).clamp(0, 1)
        if self.differentiable:
            # Constant columns have one value only, and it is a stimulus of 0.
            return values * values.new_tensor([c.bounds[0] < c.bounds[1] for c in self.columns])
        pieces = []
        for place, column in zip(values.unbind(1), self.columns, strict=True):
            if not column.choices:
                pieces.append(place[:, None] * (column.bounds[0] < column.bounds[1]))
                continue
            code = (place.detach() * column.choices).floor().clamp_max(column.choices - 1)
            if len(column.features) > 1:
                codes = torch.arange(column.choices, device=code.device)
                pieces.append((code[:, None] == codes).float())
            else:
                pieces.append(code[:, None] / max(column.choices - 1, 1))
        return torch.cat(pieces, dim=1).detach()

    def rows(self, stimuli: torch.Tensor) -> list[dict[str, Value]]:
        """What stimuli (N, features) mean: the value of each column, by its name.

        ``pandas.DataFrame(table.rows(stimuli))`` is a table of them.
        """
        found: list[dict[str, Value]] = [{} for _ in range(len(stimuli))]
        start = 0
        for column in self.columns:
            stop = start + len(column.features)
            piece = stimuli[:, start:stop].detach().cpu().double()
            start = stop
            for row, numbers in zip(found, piece.tolist(), strict=True):
                row[column.name] = _value(column, numbers)
        return found

    def _bounds(self, side: int) -> tuple[float, ...]:
        return tuple(column.bounds[side] for column in self.columns for _ in column.features)


def _value(column: Column, numbers: list[float]) -> Value:
    """What the features of one column mean."""
    if len(numbers) > 1:
        return column.categories[numbers.index(max(numbers))]
    low, high = column.bounds
    number = low + numbers[0] * (high - low)
    if column.categories:
        return column.categories[round(number)]
    return round(number) if column.integer else number


def _column(values: Any, name: str, encoding: Literal["code", "one_hot"]) -> Column:
    """The schema of one column of a DataFrame, a pandas Series."""
    kind = getattr(values.dtype, "kind", "O")
    known = values.dropna()
    if not len(known):
        raise InvalidSpec(f"column {name!r}: it has no value in the frame", field="columns")
    if kind in "iuf":
        low, high = float(known.min()), float(known.max())
        return Column(name, low=low, high=high, integer=kind in "iu")
    ordered = getattr(values.dtype, "categories", None)
    found = known.unique().tolist() if ordered is None else list(ordered)
    if ordered is None:
        found = sorted(found, key=lambda value: (str(type(value)), value))
    plain = (value if isinstance(value, (str, bool, int, float)) else str(value) for value in found)
    return Column(name, categories=tuple(plain), encoding=encoding)
