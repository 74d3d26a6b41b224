"""Converts an API's answer about one stimulus into a row of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import OracleFailed, did_you_mean

Row = NDArray[np.float64]

Form = Literal["scores", "top", "label"]


@dataclass(frozen=True)
class AnswerReader:
    """Reads answers of one form.

    Attributes:
        form: `scores`: a number for each unit, in a list in their order, by label, or in pairs of
            label (or index) and number. For a single unit, the number alone is accepted. `top`: by
            label or in pairs, for some. `label`: one label or index, which becomes 1, and 0 for the
            others.
        units: number of units.
        labels: names of the units, or empty.
        missing: the score of units that `top` leaves out; None refuses an answer without them.
        ignore_others: whether unknown labels are passed over.
    """

    form: Form
    units: int
    labels: tuple[str, ...]
    missing: float | None
    ignore_others: bool

    def row(self, answer: Any) -> Row:
        """(units,) scores.

        Raises:
            OracleFailed: for an answer of another form.
        """
        if self.form == "label":
            return self._marked(answer)
        if self.form == "scores" and self.units == 1 and type(answer) in (int, float):
            return np.array([_number(answer)], np.float64)
        pairs = _pairs(answer)
        if pairs is None and isinstance(answer, list) and self.form == "scores":
            return self._listed(answer)
        if pairs is None:
            wanted = "a list of numbers" if self.form == "scores" else "pairs of label and number"
            if self.form == "scores" and self.units == 1:
                wanted = "a number, a list of one"
            raise OracleFailed(
                f"expected {wanted}, or numbers by label, got {brief(answer)}{_reshaping(answer)}"
            )
        row = np.full(self.units, np.nan if self.missing is None else self.missing, np.float64)
        given = set()
        for label, score in pairs:
            place = self._place(label)
            if place is not None:
                row[place] = _number(score)
                given.add(place)
        if len(given) < self.units:
            self._check_complete(given)
        return row

    def _check_complete(self, given: set[int]) -> None:
        """Refuse an answer without the units that are not `given`, unless they have a score."""
        if self.form == "top" and self.missing is not None:
            return
        lacking = [self._name(i) for i in range(self.units) if i not in given]
        cure = "where the API names only the best, set answer to 'top'"
        if self.form == "top":
            cure = (
                "set missing to the score of labels that the API leaves out, such as 0 for "
                "probabilities, or to nan for scores that are unknown"
            )
        raise OracleFailed(
            f"expected a number for each of {self.units} labels, got none for "
            f"{', '.join(lacking[:5])}; {cure}"
        )

    def _listed(self, answer: list[Any]) -> Row:
        if len(answer) != self.units:
            raise OracleFailed(
                f"expected {self.units} numbers, one a unit, got {len(answer)}: {brief(answer)}"
            )
        return np.array([_number(score) for score in answer], np.float64)

    def _marked(self, answer: Any) -> Row:
        place = self._place(answer)
        row = np.zeros(self.units, np.float64)
        if place is not None:
            row[place] = 1
        return row

    def _place(self, label: Any) -> int | None:
        if isinstance(label, str) and label in self._places:
            return self._places[label]
        if type(label) is int and 0 <= label < self.units:
            return label
        if self.ignore_others and isinstance(label, (str, int)):
            return None
        near = did_you_mean(label, self.labels) if isinstance(label, str) else ""
        raise OracleFailed(
            f"{brief(label)} is none of the {self.units} labels{near}; name it in labels, or set "
            "ignore_others"
        )

    def _name(self, place: int) -> str:
        return repr(self.labels[place]) if self.labels else str(place)

    @property
    def _places(self) -> dict[str, int]:
        return {label: place for place, label in enumerate(self.labels)}


def brief(value: Any) -> str:
    """The beginning of an unexpected value, for a message."""
    text = repr(value)
    return text if len(text) <= 120 else text[:120] + " ..."


def _pairs(answer: Any) -> list[tuple[Any, Any]] | None:
    """Labels with their numbers; None for an answer of another form."""
    if isinstance(answer, Mapping):
        return list(answer.items())
    if isinstance(answer, list) and all(
        isinstance(pair, list) and len(pair) == 2 for pair in answer
    ):
        return [(pair[0], pair[1]) for pair in answer]
    return None


def _reshaping(answer: Any) -> str:
    """What to do about a list of objects, such as {"label": "cat", "score": 0.9}."""
    if not (isinstance(answer, list) and answer and isinstance(answer[0], Mapping)):
        return ""
    fields = ", ".join(map(str, list(answer[0])[:2]))
    return f"; pairs of objects are written [].[label, score] in scores, here with {fields}"


def _number(score: Any) -> float:
    if score is None:
        return math.nan
    if type(score) not in (int, float):
        raise OracleFailed(f"expected a number for a score, got {brief(score)}")
    try:
        return float(score)
    except OverflowError as error:
        raise OracleFailed("got a score that no float can hold") from error
