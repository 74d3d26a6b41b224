"""The operator's own code, by its name."""

from __future__ import annotations

import importlib
from typing import Any

from blackbox_am.errors import InvalidSpec, MissingExtra, did_you_mean

_EXTRAS = {
    "jmespath": "http",
    "httpx": "http",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "skops": "sklearn",
    "sklearn": "sklearn",
    "snntorch": "snn",
    "transformers": "hf",
}
"""Packages that an operator's code may need, and the extra that installs each."""


def imported(field: str, path: str) -> Any:
    """The object that `package.module:attribute` names. Only the operator of a server gives such
    names.

    Raises:
        MissingExtra: if the module needs a package of an extra that is not installed.
        InvalidSpec: if the module or the attribute does not exist.
    """
    module_name, separator, attribute = path.partition(":")
    if not separator or not module_name or not attribute:
        raise InvalidSpec(
            f"{field}: expected 'package.module:attribute', got {path!r}", field=field
        )
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _EXTRAS:
            raise MissingExtra.of(package, _EXTRAS[package]) from error
        raise _not_imported(field, module_name, error) from error
    except Exception as error:  # importing runs the module, which may raise anything
        raise _not_imported(field, module_name, error) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            near = did_you_mean(name, (known for known in dir(found) if known[0] != "_"))
            raise InvalidSpec(
                f"{field}: {module_name!r} has no attribute {attribute!r}{near}", field=field
            )
        found = getattr(found, name)
    return found


def _not_imported(field: str, module_name: str, error: Exception) -> InvalidSpec:
    return InvalidSpec(
        f"{field}: importing {module_name!r} raised {type(error).__name__}: {error}; is it "
        "installed where the server runs?",
        field=field,
    )
