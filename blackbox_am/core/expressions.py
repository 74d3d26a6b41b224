"""Objectives as text: `head:3 - 0.5*head:5`, `margin(head:0, head:1, label=1)`.

    expression = ["+" | "-"] term {("+" | "-") term}
    term       = factor {("*" | "/") factor}
    factor     = number | quantity | call | "(" expression ")"
    call       = kind "(" [argument {"," argument}] ")"
    argument   = quantity | name "=" value

A quantity is a unit's address (`core.units`) or a measure of the stimulus; in an expression a
layer's name without quotes has letters, digits, `_`, `-` and dots only. A hyphen that follows a
name without a space belongs to the name: `a-b` is a layer, `a - b` is a difference. A number only
multiplies or divides; a layer whose name is a number is written in quotes. A call is an objective
of the catalogue with its quantities and parameters, and a value is written as in JSON, or as a bare
word. Sums and products become `sum` and `product`; each quantity becomes a `mean` of it alone.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from blackbox_am.core.quantities import parse_quantity
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.units import QUANTITY
from blackbox_am.errors import InvalidInput, InvalidSpec

MOST_CHARACTERS = 20_000
"""Largest length of an expression."""
MOST_BRACKETS = 20
"""Largest depth of parentheses, and of the brackets of a value."""
MOST_INTEGER = 2**53
"""Largest whole number of a value: numbers travel as doubles, which hold greater ones inexactly."""

_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.:@!])")
_QUANTITY = re.compile(QUANTITY, re.ASCII)
_KIND = re.compile(r"([a-z][a-z0-9_]*)\(")
_LAST_NAME = re.compile(r"[A-Za-z_]\w*$")
_KEY = re.compile(r"([a-z_][a-z0-9_]*)\s*=(?!=)\s*")
_WORD = re.compile(r"[A-Za-z_]\w*")
_SPACE = re.compile(r"\s*")
_SIGNS = re.compile(r"\s[+-]|[-+](?=\s)|[*/()=]|^\s*[+-]")
"""What an address does not contain outside quotes."""
_QUOTES = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(_QUOTES.pattern + r"|[\[\]{}]")
_BEFORE, _AFTER = 50, 22
"""Characters of the text that an error shows around the place that is wrong."""


def objective(target: str | ObjectiveSpec) -> ObjectiveSpec:
    """An objective from its short form: the address of a unit, the name of a measure, or an
    expression of them.

    Raises:
        InvalidInput: if the text is an address that is not in the grammar.
        InvalidSpec: if the text is an expression that is not in the grammar.
    """
    if isinstance(target, ObjectiveSpec):
        return target
    if _QUANTITY.fullmatch(target):
        return _mean(target)
    try:
        return _Reader(target).whole()
    except InvalidSpec:
        if _SIGNS.search(_QUOTES.sub("", target)):
            raise
    return _mean(target)


def _mean(quantity: str) -> ObjectiveSpec:
    return ObjectiveSpec("mean", quantities=(str(parse_quantity(quantity)),))


@dataclass
class _Term:
    """A term of a sum while it is read: a number, and the factors that it multiplies."""

    number: float
    explicit: bool
    factors: list[ObjectiveSpec]


class _Reader:
    """Reads one expression from left to right.

    Args:
        text: the expression.

    Raises:
        InvalidSpec: for a text that is too long.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0
        if len(text) > MOST_CHARACTERS:
            raise InvalidSpec(
                f"expected a target of at most {MOST_CHARACTERS:,} characters, got {len(text):,}",
                field="targets",
            )

    def whole(self) -> ObjectiveSpec:
        """The objective of the whole text.

        Raises:
            InvalidSpec: if the text is not in the grammar.
        """
        found = self._expression()
        if self._place < len(self._text):
            raise self._error(f"{self._small_letters()}expected +, -, *, / or the end")
        return found

    def _expression(self) -> ObjectiveSpec:
        signed = self._next_is("+-")
        terms = [self._term(-1.0 if self._take("+-") == "-" else 1.0)]
        while sign := self._take("+-"):
            terms.append(self._term(-1.0 if sign == "-" else 1.0))
        only = terms[0]
        if len(terms) == 1 and not only.explicit and not (signed and only.number < 0):
            return _product(only.factors)
        weights = tuple(term.number for term in terms)
        return ObjectiveSpec(
            "sum", weights=weights, terms=tuple(_product(term.factors) for term in terms)
        )

    def _term(self, sign: float) -> _Term:
        begin = self._after_space()
        term = _Term(sign, explicit=False, factors=[])
        self._factor(term, "*")
        while operator := self._take("*/"):
            self._factor(term, operator)
        if not term.factors:
            self._place = begin
            raise self._error(
                "a number must multiply a unit, a measure or an objective; a layer whose name is a "
                'number is written in quotes, such as "2":5'
            )
        if not math.isfinite(term.number):
            self._place = begin
            raise self._error("expected a finite factor")
        return term

    def _factor(self, term: _Term, operator: str) -> None:
        begin = self._after_space()
        number = self._match(_NUMBER)
        if number is not None:
            value = float(number[0])
            if operator == "/" and value == 0:
                self._place = begin
                raise self._error("expected a number other than 0 behind /")
            term.number = term.number * value if operator == "*" else term.number / value
            term.explicit = True
        elif operator == "/":
            raise self._error("expected a number behind /: an objective can be divided by numbers")
        else:
            term.factors.append(self._operand())

    def _operand(self) -> ObjectiveSpec:
        if self._next_is("("):
            return self._in_brackets()
        begin = self._after_space()
        kind = self._match(_KIND)
        if kind is not None:
            if kind[1] in ("sum", "product"):
                self._place = begin
                raise self._error(f"a {kind[1]} is written with {'+*'[kind[1] == 'product']}")
            return self._call(kind[1])
        return ObjectiveSpec("mean", quantities=(self._quantity(),))

    def _in_brackets(self) -> ObjectiveSpec:
        if self._depth == MOST_BRACKETS:
            raise self._error(f"expected at most {MOST_BRACKETS} parentheses inside each other")
        self._take("(")
        self._depth += 1
        found = self._expression()
        self._depth -= 1
        if not self._take(")"):
            raise self._error(f"{self._small_letters()}expected +, -, *, / or )")
        return found

    def _call(self, kind: str) -> ObjectiveSpec:
        quantities: list[str] = []
        named: dict[str, Any] = {}
        while not self._take(")"):
            if (quantities or named) and not self._take(","):
                raise self._error("expected , or )")
            begin = self._after_space()
            key = self._match(_KEY)
            if key is None:
                quantities.append(self._quantity())
                continue
            if key[1] in named:
                self._place = begin
                raise self._error(f"{key[1]} is given twice")
            named[key[1]] = self._value()
        begin = self._place
        weights = named.pop("weights", [])
        if not isinstance(weights, list) or not all(_is_number(weight) for weight in weights):
            self._place = begin - 1
            raise self._error("expected weights as a list of numbers, such as weights=[1, -0.5]")
        return ObjectiveSpec(kind, tuple(quantities), tuple(map(float, weights)), named)

    def _quantity(self) -> str:
        begin = self._after_space()
        found = self._match(_QUANTITY)
        if found is None:
            raise self._error("expected a unit such as head:3, a measure, a number or (")
        try:
            return str(parse_quantity(found[0]))
        except InvalidInput as error:
            self._place = begin
            raise InvalidSpec(f"{error}:{self._shown()}", field="targets") from error

    def _value(self) -> Any:
        begin = self._after_space()
        self._check_brackets()
        try:
            value, end = _VALUES.raw_decode(self._text, begin)
            json.dumps(value, ensure_ascii=False).encode()
        except json.JSONDecodeError:
            word = self._match(_WORD)
            if word is None:
                raise self._error(
                    "expected a value: a number, a word, true, false or [...]"
                ) from None
            return word[0]
        except UnicodeEncodeError:  # \ud800 is no character
            raise self._error("expected Unicode text") from None
        except ValueError as error:
            raise self._error(f"expected {error}") from None
        self._place = end
        return value

    def _check_brackets(self) -> None:
        """Checks the depth of the value that begins here, which JSON's reader does not bound."""
        depth = 0
        for found in _BRACKETS.finditer(self._text, self._place):
            depth += (found[0] in "[{") - (found[0] in "]}")
            if depth > MOST_BRACKETS:
                self._place = found.start()
                raise self._error(f"expected at most {MOST_BRACKETS} brackets inside each other")
            if depth <= 0:
                return

    # Characters

    def _after_space(self) -> int:
        space = _SPACE.match(self._text, self._place)
        self._place = self._place if space is None else space.end()
        return self._place

    def _next_is(self, characters: str) -> bool:
        place = self._after_space()
        return self._text[place : place + 1] != "" and self._text[place] in characters

    def _take(self, characters: str) -> str:
        """The next character if it is one of `characters`, else an empty text."""
        if not self._next_is(characters):
            return ""
        self._place += 1
        return self._text[self._place - 1]

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._after_space())
        if found is not None:
            self._place = found.end()
        return found

    def _small_letters(self) -> str:
        """A question if a name with capitals stands before an opening parenthesis."""
        word = _LAST_NAME.search(self._text[: self._place])
        if word is None or not self._next_is("(") or word[0] == word[0].lower():
            return ""
        return f"did you mean {word[0].lower()}(...)? "

    def _error(self, expected: str) -> InvalidSpec:
        """An error that shows the place with a caret below it."""
        place = self._after_space()
        came = "the end of the target" if place == len(self._text) else repr(self._text[place])
        return InvalidSpec(f"{expected}, got {came}:{self._shown()}", field="targets")

    def _shown(self) -> str:
        """The text around the place, and a caret below the place."""
        start = max(0, self._place - _BEFORE)
        shown = self._text[start : self._place + _AFTER].replace("\n", " ")
        return f"\n    {shown}\n    {' ' * (self._place - start)}^"


def _integer(digits: str) -> int:
    """A whole number of a value.

    Raises:
        ValueError: for one that is too large.
    """
    # Python refuses to read thousands of digits.
    if len(digits) > len(str(-MOST_INTEGER)) or abs(int(digits)) > MOST_INTEGER:
        raise ValueError("whole numbers within 2^53")
    return int(digits)


def _finite(text: str) -> float:
    """A number of a value, or the word that JSON's reader takes for one.

    Raises:
        ValueError: for one that is not finite.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("finite numbers")
    return number


_VALUES = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_finite)


def _product(factors: list[ObjectiveSpec]) -> ObjectiveSpec:
    return factors[0] if len(factors) == 1 else ObjectiveSpec("product", terms=tuple(factors))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
