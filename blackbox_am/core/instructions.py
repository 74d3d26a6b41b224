"""Bytecode: which names an expression reads, and which operations change an object."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import CodeType

Span = tuple[tuple[int, int], tuple[int, int]]
"""Begin and end of an expression in the source: line and column."""

STORES = ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF", "DELETE_ATTR", "DELETE_GLOBAL")
ITEM_STORES = ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
LOADS = (*ATTRIBUTES, *GLOBALS, "LOAD_DEREF")
_ITEMS = frozenset(["BINARY_SUBSCR", "BINARY_SLICE"])
_MOST_ARGUMENTS = 32
_CHANGING_METHODS = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "fill",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "put",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "update",
        "write",
    ]
)
"""Methods of containers that change the container."""


def first_local(outer: dis.Instruction, instructions: list[dis.Instruction]) -> str:
    """The local variable with which the expression of an instruction begins; empty for others."""
    span = span_of(outer)
    for one in instructions:
        inner = span_of(one)
        if one is not outer and span and inner and inner[0] == span[0]:
            return str(one.argval) if one.opname.startswith("LOAD_FAST") else ""
    return ""


def changes_object(instruction: dis.Instruction) -> bool:
    """Whether it reads a method that changes its object; in torch such names end with `_`."""
    if instruction.opname not in ATTRIBUTES:
        return False
    name: str = instruction.argval
    return name in _CHANGING_METHODS or (name.endswith("_") and not name.endswith("__"))


def loaded_in(outer: dis.Instruction, instructions: list[dis.Instruction]) -> set[str]:
    """Attributes, globals and closure variables that the expression of an instruction reads."""
    span = span_of(outer)
    if span is None:
        return set()
    return {
        one.argval
        for one in instructions
        if one is not outer
        and one.opname in LOADS
        and (inner := span_of(one)) is not None
        and span[0] <= inner[0]
        and inner[1] <= span[1]
    }


def span_of(instruction: dis.Instruction) -> Span | None:
    """The place of the instruction's expression in the source; None if it is unknown."""
    place = instruction.positions
    if place is None or None in (place.lineno, place.col_offset):
        return None
    return (place.lineno or 0, place.col_offset or 0), (
        place.end_lineno or 0,
        place.end_col_offset or 0,
    )


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code and that of the functions and comprehensions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def texts_in(outer: dis.Instruction, instructions: list[dis.Instruction]) -> list[str]:
    """The constant texts in the expression of an instruction."""
    whole = span_of(outer)
    spans = [(span_of(one), one) for one in instructions if _is_text(one)]
    return [
        one.argval for span, one in spans if span and whole is not None and _contains(whole, span)
    ]


@dataclass(frozen=True)
class Alias:
    """The assignment of a value to a local variable, without a change, such as `a = self.b`.

    Attributes:
        variable: the local variable.
        stands_for: the name of the attribute, of the global or of the other variable.
        local: whether that is another local variable.
    """

    variable: str
    stands_for: str
    local: bool


def aliases_in(instructions: list[dis.Instruction]) -> list[Alias]:
    """The assignments of attributes and variables to local variables."""
    return [
        Alias(one.argval, before.argval, before.opname not in LOADS)
        for before, one in pairwise(instructions)
        if one.opname == "STORE_FAST" and (before.opname in LOADS or before.opname == "LOAD_FAST")
    ]


@dataclass(frozen=True)
class Argument:
    """An argument of a call.

    Attributes:
        names: of the attributes and globals whose value the call can change.
        variables: likewise of local variables.
        texts: the constant texts in its expression.
    """

    names: frozenset[str]
    variables: frozenset[str]
    texts: tuple[str, ...]


Call = tuple[str, list[Argument], tuple[str, ...]]
"""The name of a function, its arguments, and the names of the last arguments, the keywords."""


def calls_in(
    code: CodeType, instructions: list[dis.Instruction], wanted: set[str]
) -> Iterator[Call]:
    """The calls of functions and methods with one of the wanted names.

    Args:
        code: of a function.
        instructions: of the code.
        wanted: names of functions.
    """
    if not any(one.opname in LOADS and one.argval in wanted for one in instructions):
        return
    keywords: tuple[str, ...] = ()
    for before, one in pairwise(instructions):
        if before.opname == "KW_NAMES":  # of Python 3.11 and 3.12
            keywords = code.co_consts[before.arg or 0]
        elif one.opname == "CALL_KW":
            keywords = before.argval
        whole = span_of(one)
        if not one.opname.startswith("CALL") or whole is None:
            continue
        given, keywords = keywords, ()
        inner = [(span, part) for part in instructions if (span := span_of(part)) is not None]
        inner = [(span, part) for span, part in inner if span != whole and _contains(whole, span)]
        name, spans = _function_and_arguments([span for span, _ in inner], inner)
        if name not in wanted:
            continue
        if one.arg == len(spans) and one.opname != "CALL_FUNCTION_EX":
            yield name, [_argument(span, inner) for span in spans], given
        else:  # `*arguments`, or an expression with `if`: each can be any parameter
            yield name, [_argument(whole, inner)] * _MOST_ARGUMENTS, ()


def _function_and_arguments(
    spans: list[Span], inner: list[tuple[Span, dis.Instruction]]
) -> tuple[str, list[Span]]:
    """The name of the function of a call, and the places of its arguments in the source."""
    parts: list[Span] = []
    for span in sorted(spans, key=lambda one: (one[0], (-one[1][0], -one[1][1]))):
        if not parts or parts[-1][1] <= span[0]:
            parts.append(span)
    names = [one.argval for span, one in inner if span == parts[0] and one.opname in LOADS]
    return names[-1] if names else "", parts[1:]


def _argument(whole: Span, inner: list[tuple[Span, dis.Instruction]]) -> Argument:
    parts = [(span, one) for span, one in inner if _contains(whole, span)]
    operations = {one.opname for span, one in parts if span == whole}
    named = operations & {*LOADS, "LOAD_FAST"}
    if named:  # `self.cache`, whose `self` is not changed
        parts = [(span, one) for span, one in parts if span == whole]
    elif operations and not operations & _ITEMS:  # a new value, such as `len(self.cache)`
        parts = [(span, one) for span, one in parts if one.opname == "LOAD_CONST"]
    return Argument(
        frozenset(one.argval for _, one in parts if one.opname in LOADS),
        frozenset(one.argval for _, one in parts if one.opname == "LOAD_FAST"),
        tuple(one.argval for _, one in parts if _is_text(one)),
    )


def _is_text(instruction: dis.Instruction) -> bool:
    return instruction.opname == "LOAD_CONST" and isinstance(instruction.argval, str)


def _contains(outer: Span, inner: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]
