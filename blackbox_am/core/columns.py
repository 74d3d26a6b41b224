"""Columns of a table: from a stimulus in [0, 1] to the exact values of a row, and nothing else.

Whoever needs the value of a feature (the generator that reports a row, the oracle that scores
it) takes it from here, so that all of them mean the same value to the last bit. Needs numpy;
`TableSchema.frame` and `TableSchema.model_input` need pandas.
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
"""So many whole numbers have each a float32 in [0, 1] that is read back without error."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column: a number between bounds, or one of some categories.

    Attributes:
        name: of the column.
        low, high: bounds, both included.
        integer: whether only whole numbers between the bounds are meant.
        categories: its values, where it has no bounds.
        encoding: how the model takes a category: `value`, the category itself; `code`, its
            place among the categories; `one_hot`, a feature for each category, 1 for the one
            that it is and 0 for the others.
        dtype: the name of its pandas dtype, such as `int64`, `category` or `bool`; empty: the
            one that pandas chooses.
        ordered: whether a dtype `category` is an ordered one.

    Raises:
        InvalidSpec: where these do not fit together.
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
        """Of each of its features, as numbers."""
        if self.categories:
            return 0, 1 if self.one_hot else len(self.categories) - 1
        assert self.low is not None  # checked when it was made
        assert self.high is not None  # as above
        return self.low, self.high

    @property
    def one_hot(self) -> bool:
        """Whether it has a feature for each category."""
        return bool(self.categories) and self.encoding == "one_hot"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it becomes."""
        if self.one_hot:
            return tuple(f"{self.name}={value}" for value in self.categories)
        return (self.name,)

    @property
    def choices(self) -> int:
        """How many values it can have; 0 for a real number."""
        if self.categories:
            return len(self.categories)
        low, high = self.bounds
        return int(high) - int(low) + 1 if self.integer else 0

    def numbers(self, places: Array) -> Array:
        """(N,) what its features, (N, features) float64 in [0, 1], mean as numbers.

        Codes of categories and whole numbers are int64 (uint64, where int64 cannot hold them);
        real numbers are float64, rounded to float32 where that is its dtype.
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
        # A float64 holds no such number exactly; Python's own integers do.
        whole = [min(low + int(step), last) for step in steps.tolist()]
        return np.array(whole, np.int64 if last < 2**63 else np.uint64)

    def values(self, places: Array) -> list[Value]:
        """What its features (N, features) mean, as plain values."""
        numbers = self.numbers(places).tolist()
        return [self.categories[code] for code in numbers] if self.categories else numbers

    def series(self, places: Array, dtype: str | None = None) -> Any:
        """What its features (N, features) mean, as a pandas Series of its dtype, or of another."""
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
    """The columns of a table, and what a stimulus means in them.

    Attributes:
        columns: in the order of the table.

    Raises:
        InvalidSpec: where there is no column, or two have the same name.
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
        """The schema whose bounds, categories and dtypes are those of a pandas DataFrame.

        Columns of floating-point numbers and of integers become numbers between their
        smallest and largest value, missing ones left out; all others categories, sorted,
        or in the order of a categorical dtype.

        Raises:
            InvalidSpec: where it is no DataFrame, a column has no value, or a column holds
                something else than texts, numbers and booleans.
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
        """What stimuli (N, features) mean: plain values by the name of their column."""
        columns = {c.name: c.values(places) for c, places in self._pieces(stimuli)}
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]

    def frame(self, stimuli: Any) -> Any:
        """What stimuli (N, features) mean: a pandas DataFrame with the columns' dtypes.

        Raises:
            MissingExtra: where pandas is not installed.
        """
        return _pandas().DataFrame({c.name: c.series(p) for c, p in self._pieces(stimuli)})

    def model_input(self, stimuli: Any, *, categorical: bool = False) -> Any:
        """Stimuli (N, features) as a model takes them: a pandas DataFrame, as `frame`, in which
        columns of encoding `code` hold codes, and those of `one_hot` are their features.

        Args:
            stimuli: as in `frame`.
            categorical: whether categories that are taken by value get the dtype `category`.
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
        """Each column with its features (N, features of it), float64."""
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
    """The schema that is meant by a pandas DataFrame, by something with `columns`, such as the
    generator `table`, or by columns, as `Column` or as plain tables of its attributes.

    Raises:
        InvalidSpec: for anything else.
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
    """The schema of one column of a DataFrame, a pandas Series."""
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
