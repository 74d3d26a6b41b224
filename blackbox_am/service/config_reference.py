"""What a configuration can contain, read from the classes: as text, and as a JSON schema."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from blackbox_am import plugins
from blackbox_am.service.auth.quotas import Quota
from blackbox_am.service.auth.transport import ServerTls
from blackbox_am.service.config import Config, ServerTable

_KINDS: tuple[tuple[str, str, plugins.Registry[Any]], ...] = (
    ("[oracles.NAME]", "models", plugins.oracles),
    ("[[oracles.NAME.wrap]]", "wrappers of models, the innermost first", plugins.wrappers),
    ("[generators.NAME]", "generators", plugins.generators),
    ("[[generators.NAME.wrap]]", "wrappers of generators", plugins.generator_wrappers),
)
_INNER = "inner"
_SERVER = {
    "shipped": "whether the models of the package are in the catalogue too.",
    "tls_certificate": "file with the server's certificate (PEM).",
    "tls_key": "file with the key of the certificate (PEM).",
    "tls_client_ca": "file with the authorities that must have signed a client's certificate.",
}
_ATTRIBUTE = re.compile(r"(\w+(?:, \w+)*): (.*)", re.DOTALL)


def reference(kind: str = "") -> Iterator[str]:
    """Lines of Markdown: every table, kind, key, type and default.

    Args:
        kind: the name of one kind, for its lines alone; all if empty.

    Yields:
        Lines; none if no kind has this name.
    """
    if not kind:
        yield from ("# Keys of the configuration", "")
        described = _descriptions(Config) | _descriptions(ServerTls) | _SERVER
        yield from ("## [server]", "", *_keys(_table(ServerTable), described), "")
        yield from ("## [quotas.NAME]", "", *_keys(_table(Quota), _descriptions(Quota)), "")
        yield from ("## [images.NAME]: natural images", "", "- `folder`: text. Required.", "")
    for table, noun, registry in _KINDS:
        names = [name for name in registry.names() if kind in ("", name)]
        if names:
            yield from (f"## {table}: {noun}", "")
        for name in names:
            yield from (f'### kind = "{name}"', "", registry.summary(name), "")
            yield from _keys(registry.schema(name), _descriptions(registry.get(name)))
            yield ""


def kinds() -> list[str]:
    """Names of all kinds, sorted."""
    return sorted({name for _, _, registry in _KINDS for name in registry.names()})


def schema() -> dict[str, Any]:
    """The JSON schema of the file (draft 2020-12), for editors."""
    tables = [_entry(registry) for _, _, registry in _KINDS]
    oracles, generators = (
        _named(_wrapped(entry, wrap)) for entry, wrap in (tables[:2], tables[2:])
    )
    folder = {"type": "object", "properties": {"folder": {"type": "string"}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of blackbox-am",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "server": _table(ServerTable),
            "oracles": oracles,
            "generators": generators,
            "images": _named({**folder, "required": ["folder"], "additionalProperties": False}),
            "quotas": _named(_table(Quota)),
        },
    }


def _table(table: type[msgspec.Struct]) -> dict[str, Any]:
    return dict(_plainly(msgspec.json.schema(table)["$defs"][table.__name__]))


def _keys(schema: dict[str, Any], described: Mapping[str, str]) -> Iterator[str]:
    required = schema.get("required", [])
    for name, one in schema["properties"].items():
        if name == _INNER:
            continue
        default = "Required." if name in required else f"Default {_default(one)}."
        text = f"- `{name}`: {_type(one)}. {default} {described.get(name, '')}"
        yield from textwrap.wrap(text.strip(), 96, subsequent_indent="  ", break_long_words=False)


def _default(one: dict[str, Any]) -> str:
    value = one.get("default")
    if value is None:
        return "chosen by the program"
    return f"`{msgspec.json.encode(value).decode()}`"


def _type(one: dict[str, Any]) -> str:
    if "enum" in one:
        return " or ".join(f"`{value}`" for value in one["enum"])
    if "anyOf" in one:
        kinds = [_type(each) for each in one["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if one.get("type") == "array":
        return f"list of {_type(one['items'])}" if one.get("items") else "list"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "table",
    }
    return names.get(one.get("type", ""), "any value")


def _descriptions(owner: type[Any]) -> dict[str, str]:
    """The sentences of the section Attributes in the documentation of a class, by name."""
    text = inspect.getdoc(owner) or ""
    _, found, section = text.partition("Attributes:\n")
    if not found:
        return {}
    section = textwrap.dedent(re.split(r"\n(?=\S)", section)[0])
    described = {}
    for entry in re.split(r"\n(?=\S)", section):
        match = _ATTRIBUTE.match(entry.strip())
        if match:
            sentence = " ".join(match[2].split())
            described.update(dict.fromkeys(match[1].split(", "), sentence))
    return described


def _entry(registry: plugins.Registry[Any]) -> list[dict[str, Any]]:
    return [_kind(registry, name) for name in registry.names()]


def _kind(registry: plugins.Registry[Any], name: str) -> dict[str, Any]:
    plain = _plainly(registry.schema(name))
    keys = {key: one for key, one in plain["properties"].items() if key != _INNER}
    described = _descriptions(registry.get(name))
    for key, one in keys.items():
        if key in described:
            keys[key] = {**one, "description": described[key]}
    required = [key for key in plain.get("required", []) if key != _INNER]
    return {
        "title": name,
        "description": registry.summary(name),
        "type": "object",
        "properties": {"kind": {"const": name}, **keys},
        "required": ["kind", *required],
        "additionalProperties": False,
    }


def _wrapped(entries: list[dict[str, Any]], wrappers: list[dict[str, Any]]) -> dict[str, Any]:
    wrap = {"type": "array", "items": {"oneOf": wrappers}}
    allow = {"type": "array", "items": {"type": "string"}}
    more = {"wrap": wrap, "allow": allow}
    in_folder = {"properties": {"folder": {"type": "string"}}, "required": ["folder"]}
    kinds = [{**one, "properties": {**one["properties"], **more}} for one in entries]
    return {"oneOf": [*kinds, {"type": "object", **in_folder, "not": {"required": ["kind"]}}]}


def _named(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": entry}


def _plainly(value: Any) -> Any:
    """A schema of JSON values only. References to other classes become any table."""
    if isinstance(value, dict):
        if "$ref" in value:
            return {"type": "object"}
        return {key: _plainly(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plainly(one) for one in value]
    return value
