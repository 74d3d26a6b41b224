"""Columns of a table: the exact values of a row for a stimulus in [0, 1].

The generator that reports a row and the oracle that scores the row both use this module, so that
they agree on each value to the last bit. The module needs numpy; `TableSchema.frame` and
`TableSchema.model_input` need pandas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput, InvalidSpec, MissingExtra, ShapeMismatch

Value = str | bool | int | float
Encoding = Literal["value", "code", "one_hot"]
Array = NDArray[Any]

EXACT_VALUES = 2**24
"""Largest number of integers that a float32 in [0, 1] can represent without error."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column: a number between bounds, or one of several categories.

    Attributes:
        name: name of the column.
        low, high: bounds, both included.
        integer: whether the values are integers.
        categories: values of a column without bounds.
        encoding: input of the model for a category: `value` is the category itself; `code` is its
            position among the categories; `one_hot` is one feature for each category, 1 for the
            chosen category and 0 for the others.
        dtype: name of the pandas dtype, such as `int64`, `category` or `bool`; if empty, pandas
            chooses.
        ordered: whether a dtype `category` is ordered.

    Raises:
        InvalidSpec: if the attributes contradict each other.
    """

    name: str
    low: int | float | None = None
    high: int | float | None = None
    integer: bool = False
    categories: tuple[Value, ...] = ()
    encoding: Encoding = "value"
    dtype: str = ""
    ordered: bool = False

    def __post_init__(self) -> None:
        if self.encoding not in get_args(Encoding):
            raise self._wrong(f"expected encoding value, code or one_hot, got {self.encoding!r}")
        if self.categories:
            if not (self.low is None and self.high is None) or self.integer:
                raise self._wrong("give it categories, or bounds, not both")
            if len(set(self.categories)) != len(self.categories):
                raise self._wrong("its categories must differ")
            return
        low, high = self.low, self.high
        if low is None or high is None:
            raise self._wrong("expected low and high, or categories")
        kind = int if self.integer else float
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise self._wrong(
                f"expected finite bounds, low at most high, got {float(low)} and {float(high)}"
            )
        if self.integer and not (low == int(low) and high == int(high)):
            raise self._wrong(f"expected whole bounds, got {low} and {high}")
        msgspec.structs.force_setattr(self, "low", kind(low))
        msgspec.structs.force_setattr(self, "high", kind(high))

    @property
    def bounds(self) -> tuple[int | float, int | float]:
        """The bounds of each feature, as numbers."""
        if self.categories:
            return 0, 1 if self.one_hot else len(self.categories) - 1
        assert self.low is not None  # checked in __post_init__
        assert self.high is not None  # as above
        return self.low, self.high

    @property
    def one_hot(self) -> bool:
        """Whether the column has one feature for each category."""
        return bool(self.categories) and self.encoding == "one_hot"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the column's features."""
        if self.one_hot:
            return tuple(f"{self.name}={value}" for value in self.categories)
        return (self.name,)

    @property
    def choices(self) -> int:
        """Number of possible values; 0 for a real number."""
        if self.categories:
            return len(self.categories)
        low, high = self.bounds
        return int(high) - int(low) + 1 if self.integer else 0

    def numbers(self, places: Array) -> Array:
        """The column's values (N,) as numbers, for features (N, features) float64 in [0, 1].

        Codes of categories and integers are int64 (uint64 if int64 is too small). Real numbers are
        float64, rounded to float32 if the dtype is float32.
        """
        if self.one_hot:
            chosen: Array = places.argmax(axis=1)
            return chosen
        place = places[:, 0]
        if not self.choices:
            low, high = self.bounds
            exact: Array = np.where(place >= 1, high, np.minimum(low + place * (high - low), high))
            narrow = self.dtype.lower() in ("float32", "float16")
            return exact.astype(self.dtype.lower()).astype(np.float64) if narrow else exact
        steps = np.rint(place * (self.choices - 1))
        low = 0 if self.categories else int(self.bounds[0])
        last = low + self.choices - 1
        if self.choices <= 2**53 and last < 2**63:
            near: Array = low + steps.astype(np.int64)
            return near
        # A float64 cannot represent such a number exactly; Python's integers can.
        whole = [min(low + int(step), last) for step in steps.tolist()]
        return np.array(whole, np.int64 if last < 2**63 else np.uint64)

    def values(self, places: Array) -> list[Value]:
        """The column's values as plain Python values, for features (N, features)."""
        numbers = self.numbers(places).tolist()
        return [self.categories[code] for code in numbers] if self.categories else numbers

    def series(self, places: Array, dtype: str | None = None) -> Any:
        """The column's values as a pandas Series of its dtype, or of a given dtype, for features
        (N, features).
        """
        pd = _pandas()
        dtype = self.dtype if dtype is None else dtype
        numbers = self.numbers(places)
        if dtype == "category":
            kind = pd.CategoricalDtype(list(self.categories), ordered=self.ordered)
            return pd.Series(pd.Categorical.from_codes(numbers, dtype=kind), name=self.name)
        found = pd.Series(self.values(places) if self.categories else numbers, name=self.name)
        return found.astype(dtype) if dtype else found

    def _wrong(self, what: str) -> InvalidSpec:
        return InvalidSpec(f"column {self.name!r}: {what}", field="columns")


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table and the conversion of stimuli to rows.

    Attributes:
        columns: the columns, in the order of the table.

    Raises:
        InvalidSpec: if there is no column, or if two columns have the same name.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise InvalidSpec("columns: expected one column or more, got none", field="columns")
        names = [column.name for column in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise InvalidSpec(f"columns: two are called {name!r}", field="columns")

    @classmethod
    def of(cls, frame: Any, encoding: Encoding = "value") -> TableSchema:
        """The schema with the bounds, categories and dtypes of a pandas DataFrame.

        Columns of floating-point numbers and of integers become numbers between their smallest and
        largest value; missing values are ignored. All other columns become sorted categories, or
        categories in the order of a categorical dtype.

        Raises:
            InvalidSpec: if the argument is not a DataFrame, if a column has no value, or if a
                column contains values other than texts, numbers and booleans.
        """
        if not (hasattr(frame, "columns") and hasattr(frame, "dtypes")):
            raise InvalidSpec(
                f"frame: expected a pandas DataFrame, got {type(frame).__name__}", field="columns"
            )
        return cls(tuple(_column(frame[name], str(name), encoding) for name in frame.columns))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The name of each feature of a stimulus."""
        return tuple(name for column in self.columns for name in column.features)

    def rows(self, stimuli: Any) -> list[dict[str, Value]]:
        """The values of stimuli (N, features): plain values by name of the column."""
        columns = {c.name: c.values(places) for c, places in self._pieces(stimuli)}
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]

    def frame(self, stimuli: Any) -> Any:
        """The values of stimuli (N, features): a pandas DataFrame with the columns' dtypes.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        return _pandas().DataFrame({c.name: c.series(p) for c, p in self._pieces(stimuli)})

    def model_input(self, stimuli: Any, *, categorical: bool = False) -> Any:
        """The model's input for stimuli (N, features): a pandas DataFrame as of `frame`.

        Columns of encoding `code` contain codes; columns of encoding `one_hot` are replaced by
        their features.

        Args:
            stimuli: as in `frame`.
            categorical: whether categories of encoding `value` get the dtype `category`.
        """
        found: dict[str, Any] = {}
        for column, places in self._pieces(stimuli):
            if column.one_hot:
                chosen = column.numbers(places)
                for code, feature in enumerate(column.features):
                    found[feature] = (chosen == code).astype(np.float64)
            elif column.categories and column.encoding == "code":
                found[column.name] = column.numbers(places)
            else:
                as_category = categorical and bool(column.categories) and column.dtype != "bool"
                found[column.name] = column.series(places, "category" if as_category else None)
        return _pandas().DataFrame(found)

    def _pieces(self, stimuli: Any) -> list[tuple[Column, Array]]:
        """Each column with its features (N, features of the column), float64."""
        given = stimuli.detach().cpu().numpy() if hasattr(stimuli, "detach") else stimuli
        numbers = np.asarray(given, np.float64)
        if numbers.ndim != 2 or numbers.shape[1] != len(self.features):
            raise ShapeMismatch(
                f"stimuli: expected shape (N, {len(self.features)}), one number for each of "
                f"{', '.join(self.features[:8])}{' ...' if len(self.features) > 8 else ''}, got "
                f"{numbers.shape}",
                field="stimuli",
            )
        if not np.isfinite(numbers).all():
            row, feature = np.argwhere(~np.isfinite(numbers))[0]
            raise InvalidInput(
                f"stimuli: expected numbers from 0 to 1, got {numbers[row, feature]} for "
                f"{self.features[feature]} in row {row}; a row that failed has no values",
                field="stimuli",
            )
        numbers = numbers.clip(0, 1)
        stops = np.cumsum([len(column.features) for column in self.columns])
        return list(zip(self.columns, np.split(numbers, stops[:-1], axis=1), strict=True))


def schema_of(given: Any) -> TableSchema:
    """The schema of a pandas DataFrame, of an object with `columns`, or of a list of columns.

    A generator `table` is an object with `columns`. A column is a `Column` or a mapping of its
    attributes.

    Raises:
        InvalidSpec: if the argument is of another type.
    """
    if hasattr(given, "dtypes"):
        return TableSchema.of(given)
    columns = getattr(given, "columns", given)
    try:
        return TableSchema(tuple(msgspec.convert(list(columns), list[Column])))
    except (TypeError, msgspec.ValidationError) as error:
        raise InvalidSpec(
            "table: expected a table generator, its columns or a pandas DataFrame, got "
            f"{type(given).__name__}: {error}",
            field="table",
        ) from error


def _column(values: Any, name: str, encoding: Encoding) -> Column:
    """The schema of one column of a DataFrame, given as a pandas Series."""
    dtype, kind = str(values.dtype), getattr(values.dtype, "kind", "O")
    known = values.dropna()
    if not len(known):
        raise InvalidSpec(f"column {name!r}: it has no value in the frame", field="columns")
    if kind in "iu":
        return Column(name, low=int(known.min()), high=int(known.max()), integer=True, dtype=dtype)
    if kind == "f":
        return Column(name, low=float(known.min()), high=float(known.max()), dtype=dtype)
    ordered = getattr(values.dtype, "categories", None)
    found = known.unique().tolist() if ordered is None else list(ordered)
    plain = [value.item() if isinstance(value, np.generic) else value for value in found]
    for value in plain:
        if not isinstance(value, (str, bool, int, float)):
            raise InvalidSpec(
                f"column {name!r}: expected texts, numbers or booleans, got "
                f"{type(value).__name__} {value!r}; turn the column into one of these before the "
                "model is fitted, such as a date into its day",
                field="columns",
            )
    if ordered is None:
        plain.sort(key=lambda value: (str(type(value)), value))
    return Column(
        name,
        categories=tuple(plain),
        encoding=encoding,
        dtype="category" if ordered is not None else dtype,
        ordered=bool(getattr(values.dtype, "ordered", False)),
    )


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra.of("pandas", "sklearn") from error
    return pd
