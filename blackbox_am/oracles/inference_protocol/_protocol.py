"""The Open Inference Protocol independent of the transport: tensors, requests, descriptions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidSpec, NotFound, OracleError, OracleFailed, OracleUnavailable

Array = NDArray[Any]
Headers = Mapping[str, str]

DATATYPES: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "FP64": np.dtype("<f8"),
    "UINT8": np.dtype("|u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("|i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "BOOL": np.dtype("|b1"),
    "BF16": np.dtype("<u2"),  # the upper half of a float32; numpy has no such dtype
}
"""Datatypes of numbers, by the protocol's name. `BYTES`, for texts, is none."""

STIMULI = ("FP32", "FP16", "FP64", "UINT8")
"""Datatypes that can hold a stimulus."""


@dataclass(frozen=True)
class Addressee:
    """The model, and the limits of its answers.

    Attributes:
        model: its name.
        version: of the model, or empty.
        timeout_seconds: how long one call may take.
        max_answer_bytes: the longest answer that is taken.
    """

    model: str
    version: str
    timeout_seconds: float
    max_answer_bytes: int

    def is_unknown(self, said: str) -> bool:
        """Whether a server's message means that it has no such model.

        The protocol does not define the status, and some servers use the status of another failure:
        Triton UNAVAILABLE and 400, MLServer UNKNOWN.
        """
        name = rf"['\"]?{re.escape(self.model)}['\"]?"
        version = r"(?:,? (?:with |of )?version:? *['\"]?\w*['\"]?)?"
        missing = r" *(?:is |was )?(?:not (?:found|known)|unknown|missing|does not exist)"
        # A message about a missing part of a model: "the input x of model net not found".
        itself = r"(?<!of )(?<!in )(?<!for )\bmodel (?:with name |named )?"
        general = r"unknown model\b|no such model\b|\bmodel ?not ?found\b"
        words = rf"{general}|{itself}{name}{version}{missing}"
        return re.search(words, said, re.IGNORECASE) is not None

    def unknown(self, said: str) -> NotFound:
        """The error where a server has no such model.

        Args:
            said: the message of the server.
        """
        version = f" in version {self.version!r}" if self.version else ""
        return NotFound(
            f"it has no model {self.model!r}{version}: {said}; give the name of a model that it "
            "serves as model, and see whether target is the right server"
        )


@dataclass(frozen=True)
class TensorInfo:
    """A server's description of an input or an output.

    Attributes:
        name: its name.
        datatype: a name of `DATATYPES`, or another.
        shape: its lengths; -1 is any.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Metadata:
    """A server's description of a model. Some servers give none: no inputs, no outputs.

    Attributes:
        inputs, outputs: in the order of the server.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Question:
    """One request for inference.

    Attributes:
        name: of the input.
        datatype: of the input.
        array: of that dtype; its first axis is rows where `rows` is more than 1.
        rows: stimuli in it.
        outputs: names of the requested outputs; empty requests all outputs.
        parameters: of the request.
    """

    name: str
    datatype: str
    array: Array
    rows: int
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, bool | int | str] | None = None


class Transport(Protocol):
    """A connection to one model. Each call raises errors of `blackbox_am.errors`."""

    def ready(self, headers: Headers) -> bool:
        """Whether the model takes requests."""

    def metadata(self, headers: Headers) -> Metadata:
        """The server's description of the model."""

    def most_rows(self, headers: Headers) -> int | None:
        """The most rows in a request; None if the server does not say."""

    def infer(self, question: Question, headers: Headers) -> dict[str, Array]:
        """The numeric outputs by name, in their shapes. The call and its rows are counted."""

    def close(self) -> None:
        """Closes the connection. The next call opens it again."""


def metadata_of(transport: Transport, headers: Headers) -> Metadata:
    """The server's description of a model that is ready.

    Triton reports an unknown model as not ready. The request for the model's tensors then
    distinguishes a wrong name from a model that is still being loaded.

    Raises:
        NotFound: if the server has no such model.
        OracleUnavailable: if the model is not ready.
        OracleError: if the request fails.
    """
    problem: OracleError | None = None
    try:
        if not transport.ready(headers):
            problem = OracleUnavailable("it has the model, which is not ready")
    except OracleFailed as error:
        problem = error
    if problem is None:
        return transport.metadata(headers)
    with suppress(OracleError):
        transport.metadata(headers)
    raise problem


def from_raw(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> Array:
    """An output from its bytes: row-major, little-endian.

    Raises:
        OracleFailed: for another number of bytes than its shape needs.
    """
    dtype = DATATYPES[datatype]
    expected = _length(name, shape) * dtype.itemsize
    if len(data) != expected:
        raise OracleFailed(
            f"output {name!r}: {datatype} of shape {tuple(shape)} is {expected} bytes, got "
            f"{len(data)}"
        )
    array = np.frombuffer(data, dtype)
    if datatype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(tuple(shape))


def from_numbers(name: str, datatype: str, shape: Sequence[int], numbers: Any) -> Array:
    """An output from its numbers, in one list or in nested ones; None is nan.

    Raises:
        OracleFailed: for anything else than the numbers that its shape needs.
    """
    if numbers is None:
        raise OracleFailed(f"output {name!r} came without data")
    dtype = np.dtype(np.float32) if datatype in ("BF16", "FP16") else DATATYPES[datatype]
    try:
        array = np.asarray(numbers, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise OracleFailed(f"output {name!r}: expected numbers of {datatype}: {error}") from None
    if array.size != _length(name, shape):
        raise OracleFailed(
            f"output {name!r}: shape {tuple(shape)} is {_length(name, shape)} numbers, got "
            f"{array.size}"
        )
    return array.reshape(tuple(shape))


def check_target(target: str, *, over_grpc: bool) -> None:
    """Checks an address: `host:port`; over HTTP a path may follow.

    Raises:
        InvalidSpec: for a malformed address, or one with a secret.
    """
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if (
        not host
        or "://" in target
        or (over_grpc and (port is None or parts.path))
        or parts.query
        or parts.fragment
    ):
        raise InvalidSpec(
            f"target: expected host:port{'' if over_grpc else ', or host/path'}, got "
            f"{target!r}; for https, set tls = true",
            field="target",
        )
    if "@" in parts.netloc or "${" in target:
        raise InvalidSpec(
            "target: logs and errors show it, so it must have no secret; use headers",
            field="target",
        )


def _length(name: str, shape: Sequence[int]) -> int:
    if any(n < 0 for n in shape) or len(shape) > 32:
        raise OracleFailed(f"output {name!r}: no array has the shape {tuple(shape)[:40]}")
    return math.prod(shape)
