"""A check of answers against `openapi.json`: the part of JSON Schema that it uses."""

import json
from pathlib import Path

import blackbox_am.gateway

OPENAPI = json.loads(
    (Path(blackbox_am.gateway.__file__).parent / "openapi.json").read_text("utf-8")
)
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def check(value, schema, path="$"):
    """Raises AssertionError with the path of what does not match."""
    if "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "oneOf" in schema:
        assert sum(_matches(value, option) for option in schema["oneOf"]) == 1, path
        return
    assert "enum" not in schema or value in schema["enum"], f"{path}: {value!r}"
    types = schema.get("type", list(TYPES))
    types = [types] if isinstance(types, str) else types
    assert any(_is(value, name) for name in types), f"{path}: {value!r:.60} is no {types}"
    if isinstance(value, dict):
        _check_object(value, schema, path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            check(item, schema.get("items", {}), f"{path}[{index}]")


def message_schema(kind):
    """The schema of the messages of a stream of one kind."""
    if kind == "study":
        return {"$ref": "#/components/schemas/Study"}
    return {"$ref": f"#/components/schemas/{kind.capitalize()}Message"}


def _check_object(value, schema, path):
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        assert name in value, f"{path}: {name} is missing"
    for name, item in value.items():
        if name in known:
            check(item, known[name], f"{path}.{name}")
        else:
            assert more is not False, f"{path}: {name} is not described"
            check(item, more if isinstance(more, dict) else {}, f"{path}.{name}")


def _is(value, name):
    return isinstance(value, TYPES[name]) and not (
        isinstance(value, bool) and name in ("integer", "number")
    )


def _matches(value, schema):
    try:
        check(value, schema)
    except AssertionError:
        return False
    return True
