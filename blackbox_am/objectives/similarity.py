"""Likeness to given activations, for stimuli that differ from those of earlier searches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives._vectors import check_vector, larger, length, product


@dataclass(frozen=True)
class Similarity(Leaf):
    """The cosine between the activations of a layer and the nearest of given activations.

    Subtracted from another objective, it makes a search find a stimulus that differs from those of
    earlier searches, in what the layer responds to: the facets of a unit one after the other. The
    given activations are then those of the earlier results. The largest cosine counts and not the
    mean one: with a mean, the third search found the stimulus of the first one again.

    Lucid's objective `diversity` (Olah, Mordvintsev and Schubert, "Feature Visualization", Distill,
    2017) searches several stimuli at once and subtracts the products of their Gram matrices. The
    score of a row here depends on no other row, so the stimuli to differ from are given, and each
    quantity is one number: the mean over a map, in place of the products of maps.

    Attributes:
        quantities: units of a layer.
        references: activations of the same units, one vector for each stimulus.

    Raises:
        InvalidSpec: without a reference, and for a reference of another length, of zeros, or with
            numbers that are not finite.
    """

    kind: ClassVar[str] = "similarity"

    references: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.references:
            raise InvalidSpec(
                "objective 'similarity': expected the activations of one stimulus or more to "
                "compare with, got none",
                field="targets.parameters.references",
            )
        for place, vector in enumerate(self.references):
            what = f"objective 'similarity', reference {place}"
            check_vector(what, vector, len(self.quantities), "references")
        floats = tuple(tuple(float(number) for number in one) for one in self.references)
        object.__setattr__(self, "references", floats)

    @cached_property
    def _directions(self) -> list[tuple[float, ...]]:
        """The references, each made of length 1."""
        sizes = [math.hypot(*one) for one in self.references]
        pairs = zip(self.references, sizes, strict=True)
        return [tuple(number / size for number in one) for one, size in pairs]

    def score(self, values: A) -> A:
        units = length(values)
        scores: A = product(values, self._directions[0]) / units
        for direction in self._directions[1:]:
            scores = larger(scores, product(values, direction) / units)
        return scores

    def __str__(self) -> str:
        count = len(self.references)
        names = self.quantities
        units = names[0] if len(names) == 1 else f"{len(names)} units, {names[0]} to {names[-1]}"
        return f"similarity to {count} given {'stimulus' if count == 1 else 'stimuli'} in {units}"
