"""Reads the TOML file of a configuration: environment variables, paths and modules in it.

A text may contain environment variables, ``"${NAME}"``; ``$${`` is a plain ``${``. The value of a
variable is not shown in messages, which quote the reference. Oracles with ``headers``,
``environment``, ``command``, ``template`` or ``item`` read these tables themselves, at each use.

A relative path belongs to the folder of the file. A model or a weight that is a file beside the
configuration is this file; any other text, such as the name of a downloaded model, stays. Python
modules beside the file can be imported, after all installed ones.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from blackbox_am.errors import InvalidSpec, NotFound

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READ_LATER = ("headers", "environment", "command", "template", "item")

_PATHS = ("path", "folder", "ca_file", "certificate_file", "key_file")
_SERVER_PATHS = ("tls_certificate", "tls_key", "tls_client_ca", "audit_log")
_SOURCES = ("model", "weights", "data", "estimator", "inputs", "cache", "match", "magnitude")
_FILE_PREFIXES = ("torchscript:", "exported:", "transformers:")


class _Referenced(str):
    """A text with values of environment variables. Its repr is the reference, not the value."""

    reference: str

    def __repr__(self) -> str:
        return repr(self.reference)


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of the file, with environment variables replaced and relative paths absolute.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file is not TOML, or an environment variable is not set.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise NotFound(f"there is no configuration file {path}") from error
    except OSError as error:
        raise InvalidSpec(f"cannot read the configuration {path}: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpec(f"{path} is not valid TOML: {error}") from error
    folder = path.absolute().parent
    try:
        tables = _replaced(tables, "")
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}: {error.message}", field=error.field) from error
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return {name: _located(table, folder, name) for name, table in tables.items()}


def _replaced(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return {
            key: one if key in _READ_LATER else _replaced(one, f"{place}.{key}".lstrip("."))
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_replaced(one, f"{place}[{index}]") for index, one in enumerate(value)]
    return _text(value, place) if isinstance(value, str) and "${" in value else value


def _text(value: str, place: str) -> str:
    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "${"
        if not _NAME.fullmatch(name):
            raise InvalidSpec(
                f"{place}: expected the name of an environment variable in ${{...}}, got "
                f"{name!r}; write $${{ for a plain ${{",
                field=place,
            )
        if name not in os.environ:
            raise InvalidSpec(
                f"{place}: the environment variable {name} is not set; set it, or write $${{ for "
                "a plain ${",
                field=place,
            )
        return os.environ[name]

    found = _Referenced(_REFERENCE.sub(variable, value))
    found.reference = value
    return found


def _located(value: Any, folder: Path, table: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {
            name: one if name in _READ_LATER else _located(one, folder, table, name)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_located(one, folder, table, key) for one in value]
    if not isinstance(value, str) or not value:
        return value
    if table == "server":
        return _server_path(value, folder, key)
    if key in _PATHS and _is_path(value):
        return _moved(value, str(folder / value))
    return _source(value, folder) if key in _SOURCES else value


def _server_path(value: str, folder: Path, key: str) -> str:
    if key in (*_SERVER_PATHS, "store") and _is_path(value):
        return _moved(value, str(folder / value))
    return value


def _is_path(value: str) -> bool:
    return "://" not in value and value != ":memory:"


def _source(value: str, folder: Path) -> str:
    prefix = next((one for one in _FILE_PREFIXES if value.startswith(one)), "")
    beside = folder / value.removeprefix(prefix)
    return _moved(value, prefix + str(beside)) if beside.exists() else value


def _moved(value: str, path: str) -> str:
    if not isinstance(value, _Referenced):
        return path
    moved = _Referenced(path)
    moved.reference = value.reference
    return moved
