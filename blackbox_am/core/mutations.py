"""Which operations of a syntax tree change an object, and which variables and attributes it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Place = ast.Name | ast.Attribute
"""A variable, or an attribute of an object."""

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


def assigned_names(node: ast.AST) -> set[str]:
    """The attributes and variables that a node itself assigns or deletes."""
    if isinstance(node, ast.Attribute):
        return set() if isinstance(node.ctx, ast.Load) else {node.attr}
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {one.asname or one.name.partition(".")[0] for one in node.names}
    return set()


def changed_value(node: ast.AST) -> ast.expr | None:
    """The expression whose value a node changes: `a` in `a[0] = 1`, in `a |= b` and in
    `a.append`; None for other nodes.
    """
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return node.value
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr):  # of dictionaries
        return node.target
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        changes = node.attr in _CHANGING_METHODS or is_in_place(node.attr)
        return node.value if changes else None
    return None


def is_in_place(method: str) -> bool:
    """Whether a method of a tensor changes the tensor; in torch such names end with `_`."""
    return method.endswith("_") and not method.endswith("__")


def values_of(value: ast.expr) -> Iterator[Place]:
    """The variables and attributes that can be the value of an expression, or contain it: `a.b`
    and `c` of `a.b[0] if d else c`. A new value, such as that of `len(a)`, has none.
    """
    if isinstance(value, ast.Name | ast.Attribute):
        yield value
    for part in _sources(value):
        yield from values_of(part)


def owners(value: ast.expr) -> Iterator[Place]:
    """The variables and attributes that contain the value of an expression, through all attributes
    and methods: `a.b.c`, `a.b` and `a` of `a.b[0].c.view(2)`.
    """
    if isinstance(value, ast.Name | ast.Attribute):
        yield value
    inner = value.func if isinstance(value, ast.Call) else value
    parts = [inner.value] if isinstance(inner, ast.Attribute) else _sources(value)
    for part in parts:
        yield from owners(part)


def _sources(value: ast.expr) -> list[ast.expr]:
    """The expressions that can be the value of another, or contain it."""
    if isinstance(value, ast.Subscript | ast.Starred | ast.NamedExpr):
        return [value.value]
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse]
    return value.values if isinstance(value, ast.BoolOp) else []


def aliases_in(node: ast.AST) -> list[tuple[str, Place]]:
    """The local variables that a node assigns without a change, and what: `a` and `self.b` of
    `a = self.b`.
    """
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.NamedExpr | ast.AnnAssign):
        targets = [node.target]
    else:
        return []
    value = node.value
    if not isinstance(value, ast.Name | ast.Attribute):
        return []
    return [(one.id, value) for one in targets if isinstance(one, ast.Name)]


def called_name(call: ast.Call) -> str:
    """The name of the function or method that is called; empty if it has none."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def texts_in(expression: ast.AST) -> list[str]:
    """The constant texts in an expression."""
    return [
        one.value
        for one in ast.walk(expression)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
