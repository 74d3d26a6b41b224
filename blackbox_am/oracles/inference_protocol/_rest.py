"""The Open Inference Protocol over HTTP, with its extension for binary tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from blackbox_am.errors import BlackboxError, OracleFailed
from blackbox_am.oracles.http._connection import HttpAnswer, HttpConnection, Refusal, counted
from blackbox_am.oracles.http._failure import excerpt, refusal
from blackbox_am.oracles.inference_protocol._protocol import (
    DATATYPES,
    Addressee,
    Array,
    Headers,
    Metadata,
    Question,
    TensorInfo,
    from_numbers,
    from_raw,
)

_LENGTH = "Inference-Header-Content-Length"
_EXTENSION = "binary_tensor_data"


class RestTransport:
    """As `Transport`, over HTTP.

    A binary request is JSON, followed by the bytes of the tensor; a header gives the length of the
    JSON. The server may still answer with numbers in JSON.

    Args:
        base: the address, without the final `/v2`.
        binary: whether to send bytes; None: only where the server says that it takes them.
        ca_file: certificates of the authorities to trust instead of the public ones.
        to: the model.
    """

    def __init__(self, base: str, binary: bool | None, ca_file: str, to: Addressee) -> None:
        self._base = f"{base}/v2"
        self._to = to
        self._model = f"{self._base}/models/{quote(to.model, safe='')}"
        if to.version:
            self._model += f"/versions/{quote(to.version, safe='')}"
        self._binary = binary
        self._extensions: frozenset[str] | None = None
        self._connection = HttpConnection(base, to.timeout_seconds, to.max_answer_bytes, ca_file)

    def ready(self, headers: Headers) -> bool:
        answer = self._exchange("GET", f"{self._model}/ready", headers, self._refusal)
        try:
            said = json.loads(answer.body or b"{}")
        except (ValueError, RecursionError):
            return True  # the status alone tells
        return not isinstance(said, Mapping) or said.get("ready") is not False

    def metadata(self, headers: Headers) -> Metadata:
        answer = _object(self._exchange("GET", self._model, headers, self._refusal).body)
        return Metadata(_tensors(answer.get("inputs")), _tensors(answer.get("outputs")))

    def most_rows(self, headers: Headers) -> int | None:
        if "model_configuration" not in self._extensions_of(headers):
            return None
        answer = _object(self._exchange("GET", f"{self._model}/config", headers).body)
        rows = answer.get("max_batch_size")
        return rows if isinstance(rows, int) and rows > 0 else None

    def infer(self, question: Question, headers: Headers) -> dict[str, Array]:
        binary = self._binary
        if binary is None:
            binary = _EXTENSION in self._extensions_of(headers)
        content, more = _request(question, binary=binary)
        with counted(question.rows):
            answer = self._exchange(
                "POST", f"{self._model}/infer", {**headers, **more}, self._refusal, content
            )
        return _outputs(answer)

    def close(self) -> None:
        self._connection.close()

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Headers,
        refused: Refusal = refusal,
        content: bytes | None = None,
    ) -> HttpAnswer:
        body = {} if content is None else {"content": content}
        return self._connection.exchange(method, url, headers, body, refused)

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> BlackboxError:
        """The error for an unsuccessful answer about the model."""
        if status == 404 or self._to.is_unknown(body[:400].decode("utf-8", "replace")):
            return self._to.unknown(f"it answered {status}: {excerpt(body)}")
        return refusal(status, headers, body)

    def _extensions_of(self, headers: Headers) -> frozenset[str]:
        if self._extensions is None:
            try:
                answer = _object(self._exchange("GET", self._base, headers).body)
            except OracleFailed:  # a gateway may serve only the calls for models
                answer = {}
            named = answer.get("extensions")
            self._extensions = frozenset(name for name in named or () if isinstance(name, str))
        return self._extensions


def _request(question: Question, *, binary: bool) -> tuple[bytes, dict[str, str]]:
    """The body of a request and its headers."""
    tensor: dict[str, Any] = {
        "name": question.name,
        "datatype": question.datatype,
        "shape": question.array.shape,
    }
    whole: dict[str, Any] = {"inputs": [tensor], "parameters": dict(question.parameters or {})}
    if question.outputs:
        whole["outputs"] = [
            {"name": name, **({"parameters": {"binary_data": True}} if binary else {})}
            for name in question.outputs
        ]
    if not binary:
        tensor["data"] = question.array.ravel().tolist()
        return json.dumps(whole).encode(), {"Content-Type": "application/json"}
    data = question.array.tobytes()
    tensor["parameters"] = {"binary_data_size": len(data)}
    whole["parameters"]["binary_data_output"] = True
    head = json.dumps(whole).encode()
    headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(head))}
    return head + data, headers


def _outputs(answer: HttpAnswer) -> dict[str, Array]:
    body = memoryview(answer.body)
    length = answer.headers.get(_LENGTH)
    end = len(body)
    if length is not None:
        if not length.isascii() or not length.isdigit() or int(length[:18]) > end:
            raise OracleFailed(f"its header {_LENGTH} is {length[:40]!r} for {end} bytes")
        end = int(length)
    whole = _object(bytes(body[:end]))
    listed = whole.get("outputs")
    if not isinstance(listed, list):
        raise OracleFailed(f"expected a list of outputs, got {excerpt(answer.body)}")
    found, start = {}, end
    for output in listed:
        info = _tensor(output)
        parameters = output.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
        data = body[:0]
        if size is not None:
            if not isinstance(size, int) or not 0 <= size <= len(body) - start:
                raise OracleFailed(
                    f"output {info.name!r}: expected {size} bytes, got {len(body) - start}"
                )
            data = body[start : start + size]
            start += size
        if info.datatype not in DATATYPES:
            continue
        found[info.name] = (
            from_numbers(info.name, info.datatype, info.shape, output.get("data"))
            if size is None
            else from_raw(info.name, info.datatype, info.shape, data)
        )
    return found


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OracleFailed(f"expected a JSON object, got {excerpt(body)}")
    return found


def _tensors(listed: Any) -> tuple[TensorInfo, ...]:
    return tuple(_tensor(one) for one in listed) if isinstance(listed, list) else ()


def _tensor(plain: Any) -> TensorInfo:
    if isinstance(plain, Mapping):
        name, datatype, shape = (plain.get(key) for key in ("name", "datatype", "shape"))
        proper = isinstance(shape, list) and all(type(n) is int for n in shape)
        if isinstance(name, str) and isinstance(datatype, str) and proper:
            return TensorInfo(name, datatype, tuple(shape or ()))
    raise OracleFailed(
        f"expected a tensor with name, datatype and shape, got {excerpt(repr(plain).encode())}"
    )
