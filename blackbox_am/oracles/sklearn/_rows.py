"""Converts stimuli in [0, 1] into the input of a fitted estimator: an array, or a DataFrame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.columns import EXACT_VALUES, TableSchema
from blackbox_am.errors import InvalidSpec, MissingExtra

Array = NDArray[Any]


class Rows(ABC):
    """Makes rows for an estimator. `cure` is the end of the error message if the estimator refuses
    these rows.
    """

    cure = ""

    @abstractmethod
    def __call__(self, stimuli: Array) -> Any:
        """Rows for stimuli (N, features) in [0, 1]."""

    def other_forms(self) -> Sequence[Rows]:
        """The remedy to suggest if the estimator refuses the rows during its description."""
        return ()


class StretchedRows(Rows):
    """Each feature stretched from [0, 1] to its range, in float64.

    If both bounds of a feature are whole numbers more than 1 apart, a value within float32 rounding
    of a whole number becomes that whole number. Integers and codes are therefore exact.

    Args:
        low, high: one number, or one a feature.
        names: of the columns, where the estimator was fitted on named ones.
    """

    cure = (
        "; where it was fitted on a table with categories, texts or integers, give the columns: "
        "table=Table.of(frame)"
    )

    def __init__(
        self, low: Sequence[float], high: Sequence[float], names: Sequence[str] | None
    ) -> None:
        self._low, self._range = np.asarray(low, np.float64), np.subtract(high, low)
        whole = (self._low == np.rint(self._low)) & (self._range == np.rint(self._range))
        counted = whole & (self._range > 1) & (self._range < EXACT_VALUES)
        # Half a unit in the last place of a float32 in [0.5, 1], in units of the feature.
        self._within = np.where(counted, self._range * 2.0**-24, -1.0)
        self._names = names

    def __call__(self, stimuli: Array) -> Any:
        stretched = self._low + stimuli.astype(np.float64) * self._range
        whole = np.rint(stretched)
        rows = np.where(np.abs(stretched - whole) <= self._within, whole, stretched)
        return rows if self._names is None else _pandas().DataFrame(rows, columns=self._names)


class TableRows(Rows):
    """The exact values of a table's columns, with their dtypes.

    Args:
        schema: the columns.
        names: of the columns that the estimator was fitted on; None if it took an array.
        categorical: whether texts are given as pandas' categories.
    """

    def __init__(
        self, schema: TableSchema, names: Sequence[str] | None, *, categorical: bool = False
    ) -> None:
        self._schema, self._names, self._categorical = schema, names, categorical
        if names is None:
            return
        made = list(schema.model_input(np.zeros((1, len(schema.features)))).columns)
        words = (("lacks", names, made), ("has in addition", made, names))
        wrong = [
            f"{word} {_few(these, those)}" for word, these, those in words if _few(these, those)
        ]
        if wrong:
            raise InvalidSpec(
                "table: the estimator was fitted on other columns than the table has; the table "
                f"{' and '.join(wrong)}; give Table.of the frame that the estimator was fitted on",
                field="table",
            )

    def __call__(self, stimuli: Array) -> Any:
        frame = self._schema.model_input(stimuli, categorical=self._categorical)
        if self._names is not None:
            return frame[list(self._names)]
        numeric = all(dtype.kind in "iufb" for dtype in frame.dtypes)
        return frame.to_numpy(np.float64) if numeric else frame.to_numpy(object)

    def other_forms(self) -> Sequence[Rows]:
        """The same rows with texts as pandas' categories: LightGBM and XGBoost accept no texts, and
        identify categories by their values.
        """
        if self._categorical or self._names is None:
            return ()
        return (TableRows(self._schema, self._names, categorical=True),)


def _few(names: Sequence[str], known: Sequence[str]) -> str:
    """The first of `names` that are not `known`."""
    return ", ".join(repr(name) for name in [n for n in names if n not in known][:8])


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra.of("pandas", "sklearn") from error
    return pd
