"""The code of classes and functions of the user."""

from __future__ import annotations

import ast
import dis
import inspect
import sys
from pathlib import Path
from types import CodeType

from torch import nn

from blackbox_am.core.mutations import changed_value, is_in_place, owners
from blackbox_am.core.syntax_trees import Function, body_of, local_names, nested, tree_of

_LIBRARY_FOLDERS = ("site-packages", "dist-packages")
_PACKAGES = ("torch", "blackbox_am", "builtins")
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
_KEEPERS = ("append", "extend", "update", "add", "__setitem__")
"""Methods of containers that return None."""
_BUILDERS = ("__init__", "__new__", "__post_init__", "__setattr__", "__setstate__")
"""Methods that make an object. What they assign belongs to the object from the beginning."""
_HARMLESS = frozenset(
    {
        "print",
        "len",
        "float",
        "int",
        "str",
        "id",
        "type",
        "isinstance",
        "tuple",
        "list",
        "min",
        "max",
    }
)
"""Functions that change nothing that they are given."""


def is_installed(module: str) -> bool:
    """Whether a Python module belongs to Python, to this package, or to an installed package."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root in _PACKAGES:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and any(folder in Path(file).parts for folder in _LIBRARY_FOLDERS)


def own_code(kind: type) -> str:
    """The code and the constants of a class outside the installed packages, and of its bases.

    The code is read as bytecode, so comments and line numbers have no effect, and a class that was
    typed into an interpreter can be read too. Another version of Python may compile other bytecode.
    """
    own = (base for base in kind.__mro__ if not is_installed(base.__module__))
    return "\n".join(f"{base.__qualname__}:{_members(base)}" for base in own)


def own_values(kind: type) -> list[tuple[str, object]]:
    """The attributes apart from code that a class outside the installed packages and its bases of
    that kind have, by name.
    """
    found = []
    for base in kind.__mro__:
        if not is_installed(base.__module__):
            for name, member in sorted(vars(base).items()):
                value = getattr(member, "__func__", member)  # of a static method
                hidden = name.startswith("__") or inspect.isdatadescriptor(value)
                if code_of(member) is None and not hidden:
                    found.append((name, value))
    return found


def code_text(code: CodeType) -> str:
    """The bytecode of a function and its constants, without names of files and lines."""
    return f"{code.co_code.hex()},{code.co_names},{[_constant(one) for one in code.co_consts]}"


def code_of(member: object) -> CodeType | None:
    """The code of a function, a method or a property; None for anything else."""
    function = getattr(member, "__func__", getattr(member, "fget", member))
    function = inspect.unwrap(function) if callable(function) else function
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def called_methods(kind: type) -> list[object]:
    """The methods of a class that run when an object of the class is used.

    For a module these are `forward` and every method whose name occurs in the code of another of
    these methods; for any other class all methods except those that make an object.
    """
    methods: dict[str, list[object]] = {}
    for base in kind.__mro__:
        if base not in (object, nn.Module):
            for name, member in vars(base).items():
                if code_of(member) is not None:
                    methods.setdefault(name, []).append(member)
    waiting = ["forward", "__call__"]
    if not issubclass(kind, nn.Module):
        waiting = [name for name in methods if name not in _BUILDERS]
    found: list[object] = []
    while waiting:
        for member in methods.pop(waiting.pop(), ()):
            found.append(member)
            code = code_of(member)
            assert code is not None
            waiting += [name for one in nested(code) for name in one.co_names if name in methods]
    return found


def global_names(code: CodeType) -> set[str]:
    """Names of global variables that the code reads."""
    return {
        one.argval
        for part in nested(code)
        for one in dis.get_instructions(part)
        if one.opname in _GLOBALS
    }


def attribute_names(code: CodeType) -> set[str]:
    """Names of attributes that the code reads."""
    return {name for part in nested(code) for name in part.co_names}


def only_observes(code: CodeType) -> bool:
    """Whether a function certainly returns None and changes none of its arguments, as a hook does
    that records activations. No function does certainly whose source is not known.
    """
    function = tree_of(code)
    if function is None or code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
        return False
    local = local_names(code)
    returned = [function.body] if isinstance(function, ast.Lambda) else _returned(function)
    return all(map(_is_nothing, returned)) and not any(
        _may_change_variable(node, local) or _calls_with_effect(node) for node in body_of(function)
    )


def _returned(function: Function) -> list[ast.expr]:
    """The values that a function returns, with those that the functions inside return."""
    return [
        node.value
        for node in body_of(function)
        if isinstance(node, ast.Return) and node.value is not None
    ]


def _is_nothing(value: ast.expr) -> bool:
    """Whether a value is None: a constant, or the result of `list.append`."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr in _KEEPERS
    return isinstance(value, ast.Constant) and value.value is None


def _may_change_variable(node: ast.AST, local: frozenset[str]) -> bool:
    """Whether a node changes the value of a local variable, which an argument can be, or a tensor
    in place.
    """
    if isinstance(node, ast.Attribute) and is_in_place(node.attr):
        return True
    if isinstance(node, ast.AugAssign):
        changed: ast.expr | None = node.target
    else:
        changed = changed_value(node) if isinstance(node, ast.Subscript) else None
    if changed is None:
        return False
    places = list(owners(changed))
    return not places or any(isinstance(one, ast.Name) and one.id in local for one in places)


def _calls_with_effect(node: ast.AST) -> bool:
    """Whether a node calls a function that may change what it is given."""
    if not isinstance(node, ast.Call):
        return False
    named = isinstance(node.func, ast.Name) and node.func.id not in _HARMLESS
    return named or any(one.arg in ("out", "inplace") for one in node.keywords)


def _members(kind: type) -> str:
    codes = {name: code_of(member) for name, member in sorted(vars(kind).items())}
    return ";".join(
        f"{name}={code_text(code)}"
        for name, code in codes.items()
        if code is not None and not _is_generated(code)
    )


def _is_generated(code: CodeType) -> bool:
    """Whether the library has written the code, as for the methods of a dataclass."""
    return code.co_filename == "<string>"


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return code_text(value)
    if isinstance(value, frozenset):  # their order differs between processes
        return str(sorted(map(_constant, value)))
    if isinstance(value, tuple):
        return str([_constant(item) for item in value])
    return repr(value)
