"""The syntax tree of a function: its source, which reads the same in every version of Python."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Key = tuple[int, str, tuple[str, ...]]
"""First line, name, and names of the parameters."""


def tree_of(code: CodeType) -> Function | None:
    """The definition of a function, in which private names read as they do when the code runs.

    Args:
        code: of the function.

    Returns:
        The definition; None where it is not certain which text the code was compiled from: code
        from `exec` or from standard input, a file that was edited since, an import hook that
        rewrites the code (as pytest does with `assert`), and two lambda expressions with equal
        parameters that begin on one line.
    """
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    source = _source("".join(lines), code.co_filename) if lines else None
    if source is None or code not in source.codes:
        return None
    found = source.functions.get((code.co_firstlineno, code.co_name, parameters(code)), [])
    return found[0] if len(found) == 1 else None


def body_of(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body, with those of the functions inside, without its decorators
    and defaults, which are no part of its code.
    """
    parts = [function.body] if isinstance(function, ast.Lambda) else function.body
    for part in parts:
        yield from ast.walk(part)


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code and that of the functions and comprehensions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def parameters(code: CodeType) -> tuple[str, ...]:
    """The names of all parameters of a function."""
    more = sum(bool(code.co_flags & flag) for flag in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS))
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]


def local_names(code: CodeType) -> frozenset[str]:
    """The variables of a function and of the functions inside."""
    return frozenset(name for one in nested(code) for name in (*one.co_varnames, *one.co_cellvars))


@dataclass(frozen=True)
class _Source:
    codes: frozenset[CodeType]
    functions: dict[_Key, list[Function]]


@functools.lru_cache(maxsize=64)
def _source(text: str, filename: str) -> _Source | None:
    """The functions of a file; None if the text is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the import has shown those of the source
            tree = ast.parse(text, filename)
            codes = frozenset(nested(compile(tree, filename, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):  # ValueError: a null character
        return None
    functions = _Functions()
    functions.visit(tree)
    return _Source(codes, functions.found)


@dataclass
class _Functions(ast.NodeTransformer):
    """Collects the functions of a tree, and writes private names, such as `__cache` in a class
    `Net`, as Python does: `_Net__cache`. It drops declarations such as `self.size: int`, which
    assign nothing.
    """

    found: dict[_Key, list[Function]] = field(default_factory=lambda: defaultdict(list))
    owner: str = ""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        before, self.owner = self.owner, node.name.lstrip("_")
        self.generic_visit(node)
        self.owner = before
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node, node.name)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node, node.name)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node, "<lambda>")

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = self._mangled(node.attr)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._mangled(node.id)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return None if node.value is None else self.generic_visit(node)

    def _function(self, node: Function, name: str) -> ast.AST:
        decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
        line = min((one.lineno for one in decorators), default=node.lineno)
        given = node.args
        names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        names += [one.arg for one in (given.vararg, given.kwarg) if one is not None]
        self.found[line, name, tuple(map(self._mangled, names))].append(node)
        return self.generic_visit(node)

    def _mangled(self, name: str) -> str:
        private = self.owner and name.startswith("__") and not name.endswith("__")
        return f"_{self.owner}{name}" if private else name
