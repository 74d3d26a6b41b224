"""Identity of the inputs of an attack, so that two attacks can be compared input by input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.results import float_stimuli
from blackbox_am.core.tensors import checksum


def input_digests(clean: NDArray[Any]) -> tuple[str, ...]:
    """32 hexadecimal digits for each of N clean inputs, which say what the input is.

    An input of 8 bits and the same input as float32 have the same digest, and so has the input at
    another position. Inputs of different shapes have different digests.

    Args:
        clean: (N, *input) uint8 or floating-point numbers in [0, 1].
    """
    shape = np.asarray(clean.shape[1:], np.int64)
    place = checksum(shape).hex()[:8]
    return tuple(f"{place}{checksum(float_stimuli(one)).hex()[:24]}" for one in clean)


def matches(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of equal digests in two sequences, in the order of the first.

    A digest that occurs several times is matched occurrence by occurrence.
    """
    places = {key: place for place, key in enumerate(numbered(second))}
    found = [(place, places.get(key)) for place, key in enumerate(numbered(first))]
    return [(i, j) for i, j in found if j is not None]


def paired(first: NDArray[Any], second: NDArray[Any]) -> list[tuple[int, int]]:
    """Positions of the inputs that two arrays (N, *input) and (M, *input) have in common."""
    return matches(input_digests(first), input_digests(second))


def numbered(digests: Sequence[str]) -> list[tuple[str, int]]:
    """Each digest with the number of equal digests before it."""
    seen: Counter[str] = Counter()
    found = []
    for digest in digests:
        found.append((digest, seen[digest]))
        seen[digest] += 1
    return found
