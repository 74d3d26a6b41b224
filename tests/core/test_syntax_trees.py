"""The source of a function is found, or nothing is: never that of another one."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from blackbox_am.core.code_changes import changed_names
from blackbox_am.core.syntax_trees import body_of, local_names, parameters, tree_of

NAME = "functions_of_this_test"
TEXT = """
import functools

def plain(a, /, b, *rest, c, **more):
    return lambda d: a.first + d

@functools.cache
@functools.wraps(plain)
def decorated(a):
    a.second += 1

class Net:
    def put(self, __size):
        self.__cache[__size] = 1
        self.size: int

async def later(a):
    await a.third

pair = (lambda a: a.one, lambda b: b.two)
alike = (lambda a: a.one, lambda a: a.two)
spread = [
    lambda a: a.fourth,
]
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / f"{NAME}.py").write_text(TEXT)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(NAME)
    del sys.modules[NAME]


def attributes(function: Callable[..., Any]) -> set[str]:
    tree = tree_of(function.__code__)
    assert tree is not None
    return {node.attr for node in body_of(tree) if isinstance(node, ast.Attribute)}


def test_the_definition_of_a_function(made: ModuleType) -> None:
    assert attributes(made.plain) == {"first"}
    assert attributes(made.plain(1, 2, c=3)) == {"first"}
    assert attributes(made.decorated.__wrapped__) == {"second"}
    assert attributes(made.later) == {"third"}
    assert attributes(made.spread[0]) == {"fourth"}
    assert attributes(tree_of) >= {"co_filename", "codes"}


def test_private_names_read_as_they_do_when_the_code_runs(made: ModuleType) -> None:
    assert attributes(made.Net.put) == {"_Net__cache"}  # and `size` is only declared
    assert changed_names(made.Net.put.__code__) == {"_Net__cache"}


def test_lambda_expressions_of_one_line_are_told_apart_or_left(made: ModuleType) -> None:
    assert [attributes(one) for one in made.pair] == [{"one"}, {"two"}]
    assert [tree_of(one.__code__) for one in made.alike] == [None, None]


def test_a_file_that_was_edited_is_not_the_source(made: ModuleType) -> None:
    assert made.__file__ is not None
    Path(made.__file__).write_text(TEXT.replace("second", "other"))
    assert tree_of(made.decorated.__wrapped__.__code__) is None
    assert attributes(made.later) == {"third"}  # which the edit has not changed


@pytest.mark.parametrize("name", ["<string>", "<stdin>", __file__])
def test_code_without_source_changes_nothing(name: str) -> None:
    names: dict[str, Any] = {}
    text = "def count(self):\n    self.calls += 1"
    exec(compile(text, name, "exec"), names)
    assert tree_of(names["count"].__code__) is None
    assert changed_names(names["count"].__code__) == frozenset()


def test_a_file_that_is_not_python_is_no_source(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text("%matplotlib inline")
    names: dict[str, Any] = {}
    exec(compile("def one(): pass", str(file), "exec"), names)
    assert tree_of(names["one"].__code__) is None


def test_names_of_parameters_and_of_local_variables(made: ModuleType) -> None:
    code = made.plain.__code__
    assert parameters(code) == ("a", "b", "c", "rest", "more")
    assert local_names(code) == {"a", "b", "c", "rest", "more", "d"}
