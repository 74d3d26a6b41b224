"""Parameters of requests: checked, and wrong ones refused with the name of the parameter."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from starlette.requests import Request

from blackbox_am.core.ids import check_study_id
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidInput, MessageTooLarge, did_you_mean

MAX_BODY_BYTES = 2**21


def whole(request: Request, name: str, default: int, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number of the query.

    Raises:
        InvalidInput: for text that is no whole number between `least` and `most`.
    """
    text = request.query_params.get(name)
    return default if text is None or text == "" else number(text, name, least, most)


def optional_whole(request: Request, name: str, most: int = 2**31 - 1) -> int | None:
    """A whole number of the query; None if it is missing.

    Raises:
        InvalidInput: as `whole`.
    """
    text = request.query_params.get(name)
    return None if not text else number(text, name, 0, most)


def number(text: str, name: str, least: int = 0, most: int = 2**31 - 1) -> int:
    """The whole number in `text`.

    Raises:
        InvalidInput: as `whole`.
    """
    if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) is None or not least <= int(text) <= most:
        raise InvalidInput(
            f"{name}: expected a whole number from {least} to {most}, got {text[:40]!r}", field=name
        )
    return int(text)


def wholes(request: Request, name: str, most: int) -> list[int]:
    """Whole numbers of the query, separated by commas; empty if there are none.

    Raises:
        InvalidInput: for another text, or more than `most` numbers.
    """
    text = request.query_params.get(name, "")
    parts = [part for part in text.split(",") if part]
    if len(parts) > most:
        raise InvalidInput(f"{name}: at most {most} numbers, got {len(parts)}", field=name)
    return [number(part.strip(), name) for part in parts]


def study_id(request: Request) -> str:
    """The id of the study in the path.

    Raises:
        InvalidInput: for text that is no id.
    """
    return check_study_id(request.path_params["study"])


def states(request: Request) -> list[StudyState]:
    """The states in the query; empty for all.

    Raises:
        InvalidInput: for an unknown state.
    """
    known = {state.value: state for state in StudyState}
    found = []
    for word in _listed(request, "state"):
        if word not in known:
            raise InvalidInput(
                f"state: there is no state {word[:40]!r}{did_you_mean(word, known)}", field="state"
            )
        found.append(known[word])
    return found


def labels(request: Request) -> dict[str, str]:
    """The labels `name=text` in the query.

    Raises:
        InvalidInput: for a label without `=`.
    """
    found = {}
    for text in request.query_params.getlist("label"):
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidInput(
                f"label: expected NAME=TEXT, got {text[:80]!r}; write = as %3D", field="label"
            )
        found[name] = value
    return found


def _listed(request: Request, name: str) -> list[str]:
    texts = request.query_params.getlist(name)
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


async def body(request: Request) -> dict[str, Any]:
    """The object in the request's body; empty for an empty body.

    Raises:
        InvalidInput: for another content than a JSON object.
        MessageTooLarge: for more than 2 MiB.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise MessageTooLarge(f"the body has more than {MAX_BODY_BYTES} bytes", field="body")
    if not data:
        return {}
    if kind != "application/json":
        raise InvalidInput(
            f"expected a body of type application/json, got {kind or 'no type'}", field="body"
        )
    try:
        found = msgspec.json.decode(bytes(data))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}", field="body") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"expected a JSON object, got {type(found).__name__}", field="body")
    return found
