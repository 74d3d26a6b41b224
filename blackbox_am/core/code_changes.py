"""Which attributes, variables and arguments the code of the user changes.

What a module computes when it runs, such as a counter of calls or a cache of masks, is no part of
its identity: it would be another module after its first pass. What a module was made of is a part.
The code tells them apart, whether it has run or not, so the answer is the same before the first
pass, afterwards, and in another process: a name is volatile if `forward`, or code that `forward`
calls, assigns the name or changes the content of its value. The code is followed into functions and
methods outside the installed packages, so a dictionary that `forward` hands to a function, which
fills it, is volatile, and a dictionary that the function only reads is not.

The code is read as source. Code whose source is not known (`syntax_trees.tree_of` says when) is
not guessed: nothing that it changes is volatile, so a model that has run can be taken for another
one, and a resumed study can refuse it, but another model is never taken for it.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from blackbox_am.core.code_digests import (
    attribute_names,
    called_methods,
    code_of,
    global_names,
    is_installed,
)
from blackbox_am.core.mutations import (
    Place,
    aliases_in,
    assigned_names,
    called_name,
    changed_value,
    owners,
    texts_in,
    values_of,
)
from blackbox_am.core.syntax_trees import body_of, local_names, tree_of

_SETTERS = frozenset(
    [
        "setattr",
        "delattr",
        "__setattr__",
        "__delattr__",
        "register_buffer",
        "register_parameter",
        "register_module",
        "add_module",
    ]
)
"""Functions that assign the attribute whose name is their first text."""

_changed: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Changes:
    """What the code of one function changes.

    Attributes:
        names: attributes, global variables and variables of closures.
        arguments: the function's own parameters.
    """

    names: frozenset[str]
    arguments: frozenset[str]


@dataclass
class _Callee:
    """Functions of one name, and the places of the arguments that they change.

    Attributes:
        places: numbers of positional arguments, without `self`.
        keywords: names of arguments.
    """

    places: set[int] = field(default_factory=set)
    keywords: set[str] = field(default_factory=set)


def changed_attributes(kind: type) -> frozenset[str]:
    """Names that `called_methods`, and the functions that they call, assign, or whose content they
    change: the state of an object, such as a counter of calls, and global variables.
    """
    if kind not in _changed:
        reached = _reached(called_methods(kind), bound=True)
        _changed[kind] = frozenset().union(*(one.names for one in _changes_of(reached)))
    return _changed[kind]


def possibly_changed_attributes(kind: type) -> frozenset[str]:
    """`changed_attributes`, and all names in code whose source is not known: for what is wrong if
    a name is left out, as when a state is restored.
    """
    reached = _reached(called_methods(kind), bound=True)
    unknown = (attribute_names(one.code) for one in reached if tree_of(one.code) is None)
    return changed_attributes(kind).union(*unknown)


def changed_by(function: object) -> frozenset[str]:
    """Names that a function, and the functions that it calls, assign, or whose content they
    change.
    """
    reached = _reached([function], bound=False)
    return frozenset().union(*(one.names for one in _changes_of(reached)))


def changed_arguments(function: object) -> frozenset[str]:
    """The names of a function's parameters whose content the function changes."""
    reached = _reached([function], bound=False)
    return _changes_of(reached)[0].arguments if reached else frozenset()


def changed_names(code: CodeType) -> frozenset[str]:
    """Names of attributes and variables that the code itself assigns, or whose content it
    changes.
    """
    return _changes_in(code, {}).names


@dataclass(frozen=True)
class _Reached:
    """A function: the name under which it is called, its code, and whether its first argument is
    the object whose method it is.
    """

    name: str
    code: CodeType
    bound: bool


def _reached(members: Iterable[object], *, bound: bool) -> list[_Reached]:
    """The code of the members and of the user's functions that it calls, with the names under
    which the code calls them.

    Args:
        members: functions, methods and properties; members without code are left out.
        bound: whether the members belong to a class, so that calls do not name their object.
    """
    found: dict[tuple[str, CodeType], _Reached] = {}
    waiting = [(getattr(_function(one), "__name__", ""), one, bound) for one in members]
    while waiting:
        name, member, of_class = waiting.pop()
        code = code_of(member)
        if code is None or (name, code) in found:
            continue
        with_object = of_class and not isinstance(member, staticmethod)
        found[name, code] = _Reached(name, code, with_object)
        waiting += _callees(_function(member), code)
    return list(found.values())


def _callees(function: object, code: CodeType) -> Iterator[tuple[str, object, bool]]:
    """The user's functions that a function may call: name, function, whether it is a method."""
    known = getattr(function, "__globals__", {})
    read = attribute_names(code)
    cells = zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=False)
    values = [(name, known.get(name)) for name in sorted(global_names(code))]
    values += [(name, inside(cell)) for name, cell in cells]
    for name, value in values:
        if isinstance(value, ModuleType):
            if not is_installed(value.__name__):
                yield from ((one, vars(value)[one], False) for one in read & vars(value).keys())
        elif _is_function(value):
            yield name, value, False
        elif value is not None:
            kind = value if isinstance(value, type) else type(value)
            for base in kind.__mro__:
                if not is_installed(base.__module__):
                    yield from ((one, vars(base)[one], True) for one in read & vars(base).keys())


def _is_function(value: object) -> bool:
    function = _function(value)
    return isinstance(function, FunctionType) and not is_installed(function.__module__ or "")


def _function(member: object) -> Any:
    inner = getattr(member, "__func__", getattr(member, "fget", member))
    inner = inner.func if isinstance(inner, functools.partial) else inner
    return inspect.unwrap(inner) if callable(inner) else inner


def inside(cell: Any) -> object:
    """The value of a closure's variable; None if it has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _changes_of(reached: Sequence[_Reached]) -> list[_Changes]:
    """What each of the functions changes, when they call each other."""
    callees: dict[str, _Callee] = {}
    while True:
        found = [_changes_in(one.code, callees) for one in reached]
        before = {name: (len(one.places), len(one.keywords)) for name, one in callees.items()}
        for one, changes in zip(reached, found, strict=True):
            if changes.arguments:
                _enter(callees.setdefault(one.name, _Callee()), one, changes.arguments)
        after = {name: (len(one.places), len(one.keywords)) for name, one in callees.items()}
        if after == before:
            return found


def _enter(callee: _Callee, reached: _Reached, arguments: frozenset[str]) -> None:
    names = reached.code.co_varnames[: reached.code.co_argcount][reached.bound :]
    callee.places |= {place for place, name in enumerate(names) if name in arguments}
    callee.keywords |= arguments


def _changes_in(code: CodeType, callees: Mapping[str, _Callee]) -> _Changes:
    """What the code changes; nothing if its source is not known."""
    function = tree_of(code)
    if function is None:
        return _Changes(frozenset(), frozenset())
    found = _Found(local_names(code))
    for node in body_of(function):
        found.add(node)
        if isinstance(node, ast.Call):
            _add_call(found, node, callees)
    found.resolve()
    count = code.co_argcount + code.co_kwonlyargcount
    arguments = found.variables & set(code.co_varnames[:count])
    return _Changes(frozenset(found.names), frozenset(arguments))


@dataclass
class _Found:
    """Names of attributes and globals, and of local variables, whose values are changed.

    Attributes:
        local: the local variables of the function and of the functions inside.
        names: of attributes, of global variables and of variables of closures.
        variables: those of the local variables that are changed.
        aliases: local variables, and what they were assigned, as in `cache = self.cache`.
    """

    local: frozenset[str]
    names: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    aliases: list[tuple[str, Place]] = field(default_factory=list)

    def add(self, node: ast.AST) -> None:
        """Adds what the operation of one node changes."""
        self.names |= assigned_names(node) - self.local
        self.aliases += aliases_in(node)
        changed = changed_value(node)
        if changed is not None:
            places = list(owners(changed))
            for place in places:
                self.add_place(place)
            if any(isinstance(one, ast.Attribute) and one.attr == "__dict__" for one in places):
                self.names.update(texts_in(node))

    def add_place(self, place: Place) -> None:
        """Adds the variable or the attribute whose value is changed."""
        if isinstance(place, ast.Attribute):
            self.names.add(place.attr)
        else:
            (self.variables if place.id in self.local else self.names).add(place.id)

    def resolve(self) -> None:
        """Adds what the changed local variables stand for."""
        size = -1
        while size != len(self.variables):
            size = len(self.variables)
            for variable, place in self.aliases:
                if variable in self.variables:
                    self.add_place(place)


def _add_call(found: _Found, call: ast.Call, callees: Mapping[str, _Callee]) -> None:
    name = called_name(call)
    if name in _SETTERS:
        given = [*call.args, *(one.value for one in call.keywords)]
        found.names.update([text for one in given for text in texts_in(one)][:1])
        return
    callee = callees.get(name)
    if callee is None or (isinstance(call.func, ast.Name) and name in found.local):
        return
    spread = any(isinstance(one, ast.Starred) for one in call.args) or any(
        one.arg is None for one in call.keywords
    )  # `*arguments`: each can be any parameter
    given = [one for place, one in enumerate(call.args) if spread or place in callee.places]
    given += [one.value for one in call.keywords if spread or one.arg in callee.keywords]
    for one in given:
        for place in values_of(one):
            found.add_place(place)
