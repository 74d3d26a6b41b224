"""Rules for source files: length, names, docstrings, and what the wheel contains."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from setuptools import find_packages

import blackbox_am

PACKAGE = Path(blackbox_am.__file__).parent
ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in (PACKAGE, ROOT / "training")
    for path in folder.rglob("*.py")
    if path.parent != PACKAGE / "v1"
)

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "manager", "managers", "common"}

FRAMEWORK_METHODS = {
    "forward",  # torch.nn.Module
    "invoke",  # click.Command
    "intercept_service",  # grpc.aio.ServerInterceptor
    "do_POST",  # http.server.BaseHTTPRequestHandler
    "log_message",
    "get_input_types",  # kserve.Model
    "get_output_types",
    "predict",
}
"""Methods that a class of another library defines and documents."""


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT))


def test_a_file_has_at_most_400_lines():
    lengths = {_name(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}, "split by subject"


def test_a_file_has_a_telling_name():
    named = [(path, {path.stem.strip("_"), path.parent.name}) for path in SOURCES]
    assert [_name(path) for path, words in named if words & FORBIDDEN_NAMES] == []


@dataclass
class _Class:
    """One class statement of a source file."""

    place: str
    bases: set[str]
    methods: dict[str, bool] = field(default_factory=dict)
    """Public methods, and whether each has a docstring."""


def _base_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_public(node: ast.AST) -> bool:
    """Whether a statement defines a public name that needs a docstring of its own.

    A setter is documented by its getter, a test and a fixture by their names.
    """
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    marks = {d.attr for d in node.decorator_list if isinstance(d, ast.Attribute)}
    return not node.name.startswith(("_", "test_")) and not marks & {"setter", "fixture"}


def _parse(paths) -> tuple[list[str], dict[str, list[_Class]]]:
    """Modules, functions and classes without a docstring, and all classes by name."""
    missing: list[str] = []
    classes: dict[str, list[_Class]] = {}
    for path in paths:
        tree = ast.parse(path.read_text("utf-8"))
        if not ast.get_docstring(tree):
            missing.append(_name(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = {_base_name(base) for base in node.bases}
                found = _Class(f"{_name(path)}:{node.lineno} {node.name}", bases)
                found.methods = {
                    method.name: bool(ast.get_docstring(method))
                    for method in node.body
                    if _is_public(method)
                }
                classes.setdefault(node.name, []).append(found)
        missing += [
            f"{_name(path)}:{node.lineno} {node.name}"
            for node in filter(_is_public, tree.body)
            if not ast.get_docstring(node)
        ]
    return missing, classes


def _is_documented(method: str, of: _Class, classes: dict[str, list[_Class]]) -> bool:
    """Whether the method has a docstring in this class or in one of its bases."""
    if of.methods.get(method):
        return True
    if any(base == "Protocol" or base.endswith("Servicer") for base in of.bases):
        return True  # the class's docstring or the .proto file describes the members
    bases = [found for base in of.bases for found in classes.get(base, []) if found is not of]
    return any(_is_documented(method, base, classes) for base in bases)


def _undocumented(paths) -> list[str]:
    missing, classes = _parse(paths)
    for found in (one for same in classes.values() for one in same):
        file, name = found.place.split()
        if name.startswith("_") or Path(file).name.startswith("_"):
            continue
        for method in found.methods:
            if method not in FRAMEWORK_METHODS and not _is_documented(method, found, classes):
                missing.append(f"{found.place}.{method}")
    return missing


def test_public_names_have_docstrings():
    assert _undocumented(SOURCES) == []


def test_a_missing_docstring_is_found(tmp_path, monkeypatch):
    path = tmp_path / "example.py"
    path.write_text(
        '"""A module."""\n'
        "def plain(): ...\n"
        'class Base:\n    """A class."""\n    def documented(self):\n        """Yes."""\n'
        'class Derived(Base):\n    """A class."""\n'
        "    def documented(self): ...\n    def bare(self): ...\n    def _private(self): ...\n"
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert _undocumented([path]) == ["example.py:2 plain", "example.py:7 Derived.bare"]


def test_the_wheel_contains_the_package_alone():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    include = settings["tool"]["setuptools"]["packages"]["find"]["include"]
    found = find_packages(str(ROOT), include=include)
    assert "blackbox_am.zoo" in found
    assert {name.split(".")[0] for name in found} == {"blackbox_am"}
    assert {"training", "tests"} <= {path.name for path in ROOT.iterdir()}
