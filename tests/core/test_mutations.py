"""Which values an operation changes, and to which variables and attributes they belong."""

from __future__ import annotations

import ast

import pytest

from blackbox_am.core.mutations import (
    aliases_in,
    assigned_names,
    changed_value,
    owners,
    texts_in,
    values_of,
)


def first(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def all_changed(text: str) -> set[str]:
    changed = filter(None, map(changed_value, ast.walk(ast.parse(text))))
    return {ast.unparse(one) for one in changed}


CHANGES = {
    "a.b[0] = 1": {"a.b"},
    "del a[0]": {"a"},
    "a[0][1] += 1": {"a[0]"},
    "a |= b": {"a"},
    "a += b": set(),
    "a.append(b[0])": {"a"},
    "a.relu_()": {"a"},
    "a.__len__()": set(),
    "a.by(b).setdefault(c, [])": {"a.by(b)"},
    "for a[0] in b: pass": {"a"},
    "b = a[0]": set(),
    "a.b = 1": set(),
}


@pytest.mark.parametrize(("text", "changed"), CHANGES.items())
def test_values_that_operations_change(text: str, changed: set[str]) -> None:
    assert all_changed(text) == changed


VALUES = {
    "a": ["a"],
    "a.b": ["a.b"],
    "a.b[c]": ["a.b"],
    "a.b if c else d": ["a.b", "d"],
    "a or b.c": ["a", "b.c"],
    "(a := b.c)": ["b.c"],
    "len(a)": [],
    "a + b": [],
    "(a, b)": [],
}


@pytest.mark.parametrize(("text", "values"), VALUES.items())
def test_what_an_expression_can_be(text: str, values: list[str]) -> None:
    assert [ast.unparse(one) for one in values_of(first(text))] == values


OWNERS = {
    "a.b.c": ["a.b.c", "a.b", "a"],
    "a.b[c.d].view(e)[0]": ["a.b", "a"],
    "type(a).b": ["type(a).b"],
    "exp(a)": [],
    "a + b": [],
}


@pytest.mark.parametrize(("text", "found"), OWNERS.items())
def test_what_contains_a_value(text: str, found: list[str]) -> None:
    assert [ast.unparse(one) for one in owners(first(text))] == found


ASSIGNED = {
    "a.b = c.d": {"b"},
    "del a.b": {"b"},
    "for a in b: pass": {"a"},
    "def a(): pass": {"a"},
    "import a.b": {"a"},
    "from a import b as c": {"c"},
    "a[0] = b": set(),
}


@pytest.mark.parametrize(("text", "names"), ASSIGNED.items())
def test_names_that_are_assigned(text: str, names: set[str]) -> None:
    found = map(assigned_names, ast.walk(ast.parse(text)))
    assert set().union(*found) == names


ALIASES = {
    "a = b.c": [("a", "b.c")],
    "a = d = c": [("a", "c"), ("d", "c")],
    "a: int = c": [("a", "c")],
    "a = c + 1": [],
    "a.b = c": [],
}


@pytest.mark.parametrize(("text", "aliases"), ALIASES.items())
def test_variables_that_stand_for_a_value(text: str, aliases: list[tuple[str, str]]) -> None:
    found = aliases_in(ast.parse(text).body[0])
    assert [(name, ast.unparse(place)) for name, place in found] == aliases


def test_texts_of_an_expression() -> None:
    assert texts_in(first("a['b'] + f('c', 1)")) == ["b", "c"]
