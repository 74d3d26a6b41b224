"""Rows of a table: bounded numbers, integers and categories."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from blackbox_am.core.columns import EXACT_VALUES, Column, Encoding, TableSchema, Value
from blackbox_am.core.generator import Generator, bounded, check_latent_shape
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec


@dataclass(frozen=True)
class Table(Generator):
    """Rows of a table, for tree models and other models of tables. A stimulus is one row of
    features.

    The latent space is a box [0, 1]^D with one coordinate for each column. A real number is its
    position between the bounds. The values of an integer or of a category have equal shares of
    [0, 1]. Stimuli are in [0, 1] too: 0 is a feature's `low` and 1 its `high`. Categories keep
    their order in the box, so a search treats neighbouring categories as similar, even if they are
    not.

    The oracle ``Sklearn(model, table=table)`` reads stimuli by the same columns, so that the score
    of a stimulus is exactly the model's output for `frame` and `rows`. A function oracle can call
    `frame` itself. An integer column with more than 2^24 values has more values than float32 can
    represent (of 2^31 values, every 128th is reached). The reached values are exact.

    Attributes:
        columns: the columns; in a configuration file tables of the attributes of `Column`.
            `Table.of` reads them from a DataFrame.

    Raises:
        InvalidSpec: without columns, for two columns with the same name, or for an invalid column.
    """

    kind: ClassVar[str] = "table"

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        _ = self.schema

    @classmethod
    def of(cls, frame: Any, encoding: Encoding = "value") -> Table:
        """The table whose bounds, categories and dtypes are those of a pandas DataFrame.

        Columns of floating-point numbers and of integers become numbers between their smallest and
        largest value, without missing values. All other columns become categories, sorted, or in
        the order of a categorical dtype.

        Args:
            frame: a DataFrame, preferably the DataFrame that the model was fitted on.
            encoding: of all categories, as in `Column`.

        Raises:
            InvalidSpec: if `frame` is not a DataFrame, a column has no value, or a column contains
                other values than texts, numbers and booleans.
        """
        return cls(TableSchema.of(frame, encoding).columns)

    @cached_property
    def schema(self) -> TableSchema:
        """The columns as a schema, which reads stimuli."""
        return TableSchema(self.columns)

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

    @property
    def features(self) -> tuple[str, ...]:
        """The name of each feature."""
        return self.schema.features

    @property
    def low(self) -> tuple[float, ...]:
        """The value for a stimulus of 0, for each feature."""
        return self._bounds(0)

    @property
    def high(self) -> tuple[float, ...]:
        """The value for a stimulus of 1, for each feature."""
        return self._bounds(1)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        values = bounded(latents.to(torch.float32))
        if self.differentiable:
            # A constant column has one value only, which is a stimulus of 0.
            return values * values.new_tensor([c.bounds[0] < c.bounds[1] for c in self.columns])
        pairs = zip(values.detach().unbind(1), self.columns, strict=True)
        return torch.cat([_features(place, column) for place, column in pairs], dim=1)

    def rows(self, stimuli: Any) -> list[dict[str, Value]]:
        """The value of each column for stimuli (N, features), by the column's name."""
        return self.schema.rows(stimuli)

    def frame(self, stimuli: Any) -> Any:
        """The rows for stimuli (N, features): a pandas DataFrame with the dtypes of the columns.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        return self.schema.frame(stimuli)

    def _bounds(self, side: int) -> tuple[float, ...]:
        return tuple(float(column.bounds[side]) for column in self.columns for _ in column.features)


def _features(place: torch.Tensor, column: Column) -> torch.Tensor:
    """(N, features) stimuli of one column, for its coordinate (N,) in [0, 1]; nan stays nan."""
    if not column.choices:
        return place[:, None] * (column.bounds[0] < column.bounds[1])
    if column.choices > EXACT_VALUES:
        return place[:, None]  # float32 cannot represent so many values: the reader rounds
    code = (place * column.choices).floor().clamp_max(column.choices - 1)
    if not column.one_hot:
        return code[:, None] / max(column.choices - 1, 1)
    codes = torch.arange(column.choices, device=code.device)
    chosen = (code[:, None] == codes).to(place.dtype)
    return torch.where(code.isnan()[:, None], torch.nan, chosen)
