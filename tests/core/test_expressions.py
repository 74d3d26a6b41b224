"""Objectives as text: read, written, and refused with the place that is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.expressions import objective
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.plugins import build_objective


def score(text: str, **values: float) -> float:
    found = build_objective(objective(text))
    row = [values[str(quantity).replace(":", "_")] for quantity in found.reads()]
    return float(found.score(np.array(row)))


def test_arithmetic_is_that_of_numbers() -> None:
    a, b, c = 3.0, 5.0, 7.0
    texts = {
        "a - 0.5*b": a - 0.5 * b,
        "-a": -a,
        "+a + b": a + b,
        "a - b - c": a - b - c,
        "a - (b - c)": a - (b - c),
        "a*b + c": a * b + c,
        "2*(a + b)*c/4": 2 * (a + b) * c / 4,
        "a*2 + b": a * 2 + b,
        "1e-1*a*b": 0.1 * a * b,
        ".5*a": 0.5 * a,
        "mean(a, b) * c": (a + b) / 2 * c,
        "weighted(a, b, weights=[2, -1]) - c": 2 * a - b - c,
    }
    for text, expected in texts.items():
        assert score(text, a=a, b=b, c=c) == pytest.approx(expected), text


@pytest.mark.parametrize(
    ("text", "quantities"),
    [
        ("head:3-head:5", ["head:3", "head:5"]),
        ("a-b:3 - a:2", ["a-b:3", "a:2"]),
        ("a - b:3", ["a", "b:3"]),
        ('"2":1 + 2*0:3', ["2:1", "0:3"]),
        ('"in ner*x":3 + conv:1@3,4!max', ['"in ner*x":3', "conv:1@3,4!max"]),
        ("mean(conv:1@2,3,conv:4)*stimulus.tv", ["conv:1@2,3", "conv:4", "stimulus.tv"]),
        ("act 1:2", ['"act 1":2']),
        ("layer2.0.conv1:7@center", ["layer2.0.conv1:7@center"]),
        ("0.1:5", ["0.1:5"]),
    ],
)
def test_names_of_quantities_are_read_whole(text: str, quantities: list[str]) -> None:
    assert [str(one) for one in build_objective(objective(text)).reads()] == quantities


def test_parameters_are_numbers_words_and_lists() -> None:
    found = objective("margin(h:0, h:1, label=1, targeted=true, scale=probabilities)")
    assert found.kind == "margin"
    assert found.parameters == {"label": 1, "targeted": True, "scale": "probabilities"}
    assert objective('direction(h:0, h:1, x=[1, -2.5e3], y="a b")').parameters == {
        "x": [1, -2500.0],
        "y": "a b",
    }


@pytest.mark.parametrize(
    ("text", "message", "caret"),
    [
        ("head:3 - * head:5", "expected a unit such as head:3, a measure, a number or (", 9),
        ("3*2", "a number must multiply", 0),
        ("head:1 + 2", "a number must multiply", 9),
        ("(head:3", "expected +, -, *, / or ), got the end of the target", 7),
        ("head:3)", "expected +, -, *, / or the end, got ')'", 6),
        ("head:3!foo + head:2", "unknown reduction 'foo'", 0),
        ("mean(a:1", "expected , or )", 8),
        ("mean(a:1, )", "expected a unit such as head:3", 10),
        ("a/b", "can be divided by numbers", 2),
        ("a/0", "other than 0", 2),
        ("sum(a, b)", "a sum is written with +", 0),
        ("2*product(a, b)", "a product is written with *", 2),
        ("margin(a:1, label=)", "expected a value", 18),
        ("margin(a:1, label=1, label=2)", "label is given twice", 21),
        ("weighted(a:1, weights=2)", "expected weights as a list of numbers", 23),
        ("1e400*a", "expected a finite factor", 0),
        ("MARGIN(a:1)", "did you mean margin(...)? expected +, -", 6),
        ("2*(Mean(a:1))", "did you mean mean(...)?", 7),
        ("(" * 21 + "a" + ")" * 21, "at most 20 parentheses", 20),
    ],
)
def test_an_error_shows_the_place(text: str, message: str, caret: int) -> None:
    with pytest.raises(InvalidSpec) as caught:
        objective(text)
    said, shown, mark = str(caught.value).splitlines()
    assert message in said
    assert shown.removeprefix("    ") == text[: caret + 22]
    assert mark.index("^") - 4 == caret
    assert caught.value.field == "targets"


def test_a_long_text_is_shown_around_the_place() -> None:
    with pytest.raises(InvalidSpec) as caught:
        objective(" + ".join(f"head:{i}" for i in range(100)) + " + *" + " + head:1" * 50)
    _, shown, mark = str(caught.value).splitlines()
    assert len(shown) < 80
    assert shown[mark.index("^")] == "*"
    with pytest.raises(InvalidSpec, match="at most 20,000 characters, got 30,004"):
        objective("2*" + "(a)" * 10_000 + "+b")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 15_000 + "]" * 4000, "at most 20 brackets inside each other"),
        ('[{"a": ' * 11 + "1" + "}]" * 11, "at most 20 brackets inside each other"),
        ("1" * 5000, "expected whole numbers within 2^53, got '1'"),
        ("-9007199254740993", "expected whole numbers within 2^53, got '-'"),
        ("[" + "9" * 400 + "]", "expected whole numbers within 2^53, got '['"),
        ("[1, NaN]", "expected finite numbers"),
        ("-Infinity", "expected finite numbers, got '-'"),
        ("1e999", "expected finite numbers, got '1'"),
        ('"\\ud800"', "expected Unicode text"),
    ],
)
@pytest.mark.parametrize("name", ["weights", "label"])
def test_a_value_that_cannot_travel_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        objective(f"margin(a:1, {name}={value})")
    said, shown, mark = str(caught.value).splitlines()
    assert message in said
    assert shown[mark.index("^")] == said[said.index("got '") + 5]


def test_brackets_in_text_and_the_largest_numbers_are_values() -> None:
    text = f'margin(a:1, x="{"[" * 30}", y=9007199254740992, z={"[" * 20}{"]" * 20})'
    assert objective(text).parameters["y"] == 2**53


@pytest.mark.parametrize("text", ["", "head:", "head:3 head:5", "he@ad", "head:3!best"])
def test_what_is_no_expression_is_refused_as_a_unit(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not a unit|unknown reduction"):
        objective(text)


@given(st.text('ab:31.05*/+-() @!,="\\[]e', max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        build_objective(objective(text))
    except InvalidInput:
        return
