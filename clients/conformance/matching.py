"""What a case expects of an answer, compared with the answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from blackbox_am.core.tensors import DTYPES, from_bytes
from blackbox_am.errors import InvalidSpec, did_you_mean

IGNORED = frozenset(
    {"study_id", "lease_id", "message", "address", "retry_after_s", "fingerprint", "measured"}
)
"""Fields that may differ between two clients that do the same."""


def mismatch(expected: Any, found: Any, path: str = "ok") -> str:
    """What differs, in words; empty where nothing does.

    A table is compared key by key: keys that it lacks are not compared. A key with a dollar sign
    names a test of `TESTS`. Lists are compared entry by entry.
    """
    if isinstance(expected, dict):
        tests = [key for key in expected if key.startswith("$")]
        for key in tests:
            if not _passes(key, expected[key], found):
                return f"{path}: expected {key[1:]} {expected[key]!r}, got {_shown(found)}"
        if tests:
            return ""
        if not isinstance(found, dict):
            return f"{path}: expected a table, got {_shown(found)}"
        steps = [(key, expected[key], found.get(key)) for key in expected]
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{path}: expected {_shown(expected)}, got {_shown(found)}"
        steps = [(str(i), one, found[i]) for i, one in enumerate(expected)]
    else:
        same = type(expected) is type(found) or not isinstance(expected, bool)
        return (
            ""
            if same and expected == found
            else (f"{path}: expected {_shown(expected)}, got {_shown(found)}")
        )
    return next(filter(None, (mismatch(a, b, f"{path}.{key}") for key, a, b in steps)), "")


def _passes(test: str, wanted: Any, found: Any) -> bool:
    if test not in TESTS:
        raise InvalidSpec(f"the case is wrong: {test} is no test{did_you_mean(test, TESTS)}")
    try:
        return TESTS[test](wanted, found)
    except (LookupError, TypeError, ValueError, AttributeError):
        return False  # an answer of another form than the test reads


def difference(one: Any, other: Any, path: str = "") -> str:
    """Where two answers differ; empty where they are equal to the last bit.

    Args:
        one: the answer of the Python client; what it leaves out is not compared.
        other: the answer of another client.
        path: of the answers.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {key for key in one if one[key] is not None} - IGNORED
        steps = [(key, one[key], other.get(key)) for key in sorted(keys)]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        steps = [(str(i), a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return "" if one == other else f"{path[1:]}: python {_shown(one)}, got {_shown(other)}"
    return next(filter(None, (difference(a, b, f"{path}.{key}") for key, a, b in steps)), "")


def _bytes(plain: Any) -> int:
    return len(base64.b64decode(plain["data"] if isinstance(plain, dict) else plain))


def _array(plain: Any) -> Any:
    assert plain["dtype"] in DTYPES
    data = base64.b64decode(plain["data"])
    return from_bytes(plain["dtype"], tuple(plain["shape"]), data, field="tensor")


def _gapless(_: Any, events: Any) -> bool:
    numbers = [event["sequence"] for event in events]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$null": lambda wanted, found: (found is None) is wanted,
    "$length": lambda wanted, found: len(found) == wanted,
    "$at_least": lambda wanted, found: found is not None and found >= wanted,
    "$at_most": lambda wanted, found: found is not None and found <= wanted,
    "$ends": lambda wanted, found: found.endswith(wanted),
    "$contains": lambda wanted, found: wanted in found,
    "$lacks": lambda wanted, found: wanted not in found,
    "$matches": lambda wanted, found: re.search(wanted, found) is not None,
    "$one_of": lambda wanted, found: found in wanted,
    "$bytes": lambda wanted, found: _bytes(found) == wanted,
    "$gapless": _gapless,
    "$all_nan": lambda wanted, found: bool(np.isnan(_array(found)).all()) is wanted,
    "$kinds": lambda wanted, found: [event["kind"] for event in found] == wanted,
    "$known_kinds": lambda wanted, found: [e["kind"] for e in found if e["kind"]] == wanted,
    "$from": lambda wanted, found: bool(found) and found[0]["sequence"] == wanted,
    "$last_kind": lambda wanted, found: bool(found) and found[-1]["kind"] == wanted,
    "$not": lambda wanted, found: bool(mismatch(wanted, found)),
    "$equal_sets": lambda wanted, found: sorted(wanted) == sorted(found),
    "$disjoint": lambda wanted, found: not set(wanted) & set(found),
}
"""Tests of an answer's value, by the key that names them in a case."""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:150]}... ({len(text)} characters)"
