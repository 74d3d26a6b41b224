"""A model on a server of the Open Inference Protocol: MLServer, KServe, Triton."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import ClassVar, Literal

import numpy as np
import torch

from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, OracleFailed, did_you_mean
from blackbox_am.oracles._at_once import at_once
from blackbox_am.oracles._inputs import (
    check_normalisation,
    check_positive,
    checked_shape,
    normalised,
)
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles._secrets import resolved_headers, without_secrets
from blackbox_am.oracles.grpc._access import Access
from blackbox_am.oracles.inference_protocol._grpc import GrpcTransport
from blackbox_am.oracles.inference_protocol._model import Input, Output, input_of, outputs_of
from blackbox_am.oracles.inference_protocol._protocol import (
    DATATYPES,
    STIMULI,
    Addressee,
    Array,
    Headers,
    Question,
    Transport,
    check_target,
    metadata_of,
)
from blackbox_am.oracles.inference_protocol._rest import RestTransport

ROWS = 64
"""Rows in a request if neither the server nor the operator gives a number."""
MESSAGE_BYTES = 2**22 - 2**12
"""Default limit of a gRPC server for one message, less some bytes for its other fields."""

_OPENING = threading.Lock()


@dataclass(frozen=True)
class InferenceProtocol(Oracle):
    """A model on a server of the Open Inference Protocol, version 2 (KServe's), by name.

    The configuration says where the model is. The server describes its inputs and outputs::

        [oracles.resnet]
        kind = "inference_protocol"
        target = "triton:8001"
        model = "resnet50"
        mean = [0.485, 0.456, 0.406]
        std = [0.229, 0.224, 0.225]

        [oracles.over_http]
        kind = "inference_protocol"
        protocol = "http"
        target = "models.example.com"
        tls = true
        model = "resnet50"
        headers = { Authorization = "Bearer ${TOKEN}" }

    Each numeric output is a layer with the output's name, in which `.` stands for `/` and `_` for
    other characters that the grammar of units does not have. The axes of an output for one
    stimulus are (unit,) for a shape (D,), (token, unit) for (T, D), (unit, height, width) for
    (C, H, W), and (unit, depth, height, width) for (C, D, H, W). If the server leaves shapes open,
    or gives no shapes, one request with a stimulus of zeros finds the shapes when the oracle is
    described. The capability is UNITS, and MAPS too where an output has more axes. Outputs of FP64
    and of integers are answered in float64, all others in float32.

    Stimuli in [0, 1] are normalised. An input of UINT8 gets them times 255, rounded.

    Secrets in headers are given by reference, as for the oracle `http`: ``${NAME}`` is an
    environment variable, and ``${file:/run/secrets/key}`` the content of a file. Over gRPC, headers
    are metadata.

    Attributes:
        target: `host:port`; over http a path may follow, without the final `/v2`.
        model: name of the model on the server.
        version: of the model; the server's choice unless given.
        protocol: `grpc` or `http`.
        input: the input of the stimuli, where the model has several.
        outputs: names of the outputs to read; all unless given.
        stimulus_shape: of one stimulus, (channels, ...), where the server leaves it open, or
            does not say which axis is rows.
        datatype: of the input, where the server does not say: FP32, FP16, FP64 or UINT8.
        mean: subtracted from stimuli in [0, 1]; one number, or one for each channel.
        std: divides the difference; one number, or one for each channel.
        channels_last: whether channels and units are the last axes on the server.
        labels: names of the units, for outputs with as many units.
        parameters: of each request.
        binary: over http, whether tensors are sent as bytes and not as JSON. Unless given, bytes
            are sent where the server says that it takes them. (The server of KServe accepts bytes
            without saying so.)
        batch_size: rows in a request. Unless given, the largest number that the server allows;
            or the number that the model's shapes fix, to which the last request is padded; or
            else 64, and over gRPC no more than fit in 4 MiB.
        parallel: number of requests at the same time.
        headers: of each call.
        tls: whether the connection is encrypted.
        ca_file: certificates of the authorities to trust instead of the public ones.
        certificate_file, key_file: this client's own certificate and its key, in PEM, where the
            server asks for them; over grpc only.
        server_name: the name in the server's certificate, where it is not in its address; over
            grpc only.
        timeout_seconds: how long one call may take.
        max_answer_bytes: the longest answer that is read.
        deterministic: whether the same stimuli always give the same activations.

    Raises:
        InvalidSpec: for an invalid field.
    """

    kind: ClassVar[str] = "inference_protocol"
    billable: ClassVar[bool] = True
    counts_itself: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {
            "timeout_seconds",
            "max_answer_bytes",
            "parallel",
            "tls",
            "ca_file",
            "certificate_file",
            "key_file",
            "server_name",
            "deterministic",
            "batch_size",
            "binary",
            "labels",
            "protocol",
        }
    )

    target: str
    model: str
    version: str = ""
    protocol: Literal["grpc", "http"] = "grpc"
    input: str = ""
    outputs: tuple[str, ...] = ()
    stimulus_shape: tuple[int, ...] = ()
    datatype: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels_last: bool = False
    labels: tuple[str, ...] = ()
    parameters: dict[str, bool | int | str] = field(default_factory=dict)
    binary: bool | None = None
    batch_size: int | None = None
    parallel: int = 1
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    server_name: str = ""
    timeout_seconds: float = 60.0
    max_answer_bytes: int = 2**28
    deterministic: bool = True

    def __post_init__(self) -> None:
        if not self.model:
            raise InvalidSpec("model: expected its name on the server, got none", field="model")
        for name, known in (("protocol", ("grpc", "http")), ("datatype", ("", *STIMULI))):
            value = getattr(self, name)
            if value not in known:
                near = did_you_mean(str(value), filter(None, known))
                raise InvalidSpec(f"{name}: there is no {value!r} here{near}", field=name)
        if self.stimulus_shape:
            object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        for name in ("batch_size", "parallel", "timeout_seconds", "max_answer_bytes"):
            check_positive(name, getattr(self, name))
        if self.max_answer_bytes >= 2**31:
            raise InvalidSpec(
                f"max_answer_bytes: expected less than 2 GiB, got {self.max_answer_bytes}",
                field="max_answer_bytes",
            )
        check_target(self.target, over_grpc=self.protocol == "grpc")
        _ = self._access  # checks the files and the names of headers
        for name in ("certificate_file", "server_name"):
            if getattr(self, name) and self.protocol == "http":
                raise InvalidSpec(
                    f"{name}: means nothing over http; use protocol = 'grpc'", field=name
                )

    def describe(self) -> OracleInfo:
        """The description of the model, requested from the server once.

        Raises:
            NotFound: if the server has no such model.
            OracleError: if the server cannot be reached, the model is missing or not ready, or the
                answer is invalid.
            InvalidSpec: if parameters do not fit the model.
            MissingExtra: if `httpx` is not installed, over http.
        """
        return self._described()[2]

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`, without gradients.

        Raises:
            NotFound: if the server no longer has the model.
            OracleUnavailable: if the server cannot be reached or is busy, with `retry_after`
                where the server says how long.
            OracleTimeout: if the server does not answer in time.
            MessageTooLarge, OutOfMemory: if the batch is too large for the server.
            OracleFailed: for any other answer than the outputs for the stimuli.
        """
        taken, outputs, info = self._described()
        check_stimuli(info, stimuli)
        check_units(info, units)
        if not len(stimuli) or not units:
            return torch.empty(len(stimuli), len(units), device=stimuli.device)
        rows = self._inputs(stimuli.detach().to("cpu"), taken)
        columns: dict[str, list[int]] = {}
        for column, unit in enumerate(units):
            columns.setdefault(unit.layer, []).append(column)
        readings = {
            name: LayerReading(outputs[name].layer, [units[c] for c in members])
            for name, members in columns.items()
        }
        size = info.batch_size if taken.has_rows else 1
        pieces = [rows[start : start + size] for start in range(0, len(rows), size)]
        wanted = [outputs[name] for name in columns]
        answers = at_once(lambda piece: self._ask(piece, taken, wanted), pieces, self.parallel)
        read: dict[int, torch.Tensor] = {}
        for name in columns:
            values = np.concatenate([found[outputs[name].name] for found in answers])
            found_units = readings[name](torch.from_numpy(values)).unbind(1)
            read |= dict(zip(columns[name], found_units, strict=True))
        in_order = [read[column] for column in range(len(units))]
        dtype = reduce(torch.promote_types, (column.dtype for column in in_order))
        return torch.stack([column.to(dtype) for column in in_order], dim=1).to(stimuli.device)

    def close(self) -> None:
        """Closes the connection. The next call opens it again."""
        transport = vars(self).get("_opened")
        if transport is not None:
            transport.close()

    def _ask(self, rows: Array, taken: Input, wanted: Sequence[Output]) -> dict[str, Array]:
        """(N, *layer) of each output, as `_checked`, for stimuli as the server takes them."""
        sent = rows
        if taken.rows is not None and len(rows) < taken.rows:
            sent = np.concatenate([rows, np.repeat(rows[-1:], taken.rows - len(rows), 0)])
        names = tuple(output.name for output in wanted)
        with self._asking() as headers:
            found = self._transport.infer(self._question(sent, taken, names), headers)
            return {o.name: _checked(found, o, taken, len(sent))[: len(rows)] for o in wanted}

    def _question(self, rows: Array, taken: Input, names: tuple[str, ...]) -> Question:
        array = rows if taken.has_rows else rows[0]
        return Question(taken.name, taken.datatype, array, len(rows), names, self.parameters)

    def _described(self) -> tuple[Input, dict[str, Output], OracleInfo]:
        # No cached_property: its lock is shared by all oracles, and a server may be slow.
        known: tuple[Input, dict[str, Output], OracleInfo] | None = vars(self).get("_known")
        if known is None:
            known = self._asked()
            vars(self)["_known"] = known
        return known

    def _asked(self) -> tuple[Input, dict[str, Output], OracleInfo]:
        transport = self._transport
        with self._asking() as headers:
            metadata = metadata_of(transport, headers)
            most = transport.most_rows(headers)
        taken = input_of(
            metadata,
            self.input,
            self.datatype,
            self.stimulus_shape,
            channels_last=self.channels_last,
        )
        if self.batch_size is not None:
            taken = replace(taken, rows=None)
        check_normalisation(taken.stimulus_shape, self.mean, self.std)
        if taken.datatype == "UINT8" and (self.mean or self.std):
            raise InvalidSpec(
                "mean: the input is UINT8 and takes stimuli times 255; leave mean and std out",
                field="mean",
            )

        def probe() -> Mapping[str, tuple[int, ...]]:
            rows = self._inputs(torch.zeros(taken.rows or 1, *taken.stimulus_shape), taken)
            with self._asking() as headers:
                found = transport.infer(self._question(rows, taken, self.outputs), headers)
            return {name: array.shape for name, array in found.items()}

        outputs = outputs_of(
            metadata, taken, self.outputs, self.labels, probe, channels_last=self.channels_last
        )
        layers = tuple(output.layer for output in outputs.values())
        maps = any(len(layer.shape) > 1 for layer in layers)
        info = OracleInfo(
            self.kind,
            FORWARD if maps else Capability.SCORES | Capability.UNITS,
            taken.stimulus_shape,
            layers,
            self.deterministic,
            self._rows(taken, most),
        )
        return taken, outputs, info

    def _rows(self, taken: Input, most: int | None) -> int:
        """Rows in a request."""
        if self.batch_size is not None:
            if most is not None and self.batch_size > most:
                raise InvalidSpec(
                    f"batch_size: the server takes {most} rows in a request at most, got "
                    f"{self.batch_size}",
                    field="batch_size",
                )
            return self.batch_size
        if taken.rows or most:
            return taken.rows or most or ROWS
        if self.protocol == "http":
            return ROWS
        row = math.prod(taken.stimulus_shape) * DATATYPES[taken.datatype].itemsize
        return max(1, min(ROWS, MESSAGE_BYTES // row))

    def _inputs(self, stimuli: torch.Tensor, taken: Input) -> Array:
        """Stimuli as the server takes them."""
        if taken.datatype == "UINT8":
            values = (stimuli.to(torch.float32) * 255).round().clamp(0, 255)
        else:
            values = normalised(stimuli, self.mean, self.std)
        if self.channels_last:
            values = values.movedim(1, -1)
        return np.ascontiguousarray(values.numpy(), DATATYPES[taken.datatype])

    @contextmanager
    def _asking(self) -> Iterator[Headers]:
        """The headers of a call. Errors raised inside name the model and show no secret."""
        headers, secrets = resolved_headers(self.headers)
        with without_secrets(self._name, secrets):
            yield headers

    @property
    def _transport(self) -> Transport:
        with _OPENING:
            if "_opened" not in vars(self):
                vars(self)["_opened"] = self._opener()()
            transport: Transport = vars(self)["_opened"]
        return transport

    def _opener(self) -> Callable[[], Transport]:
        to = Addressee(self.model, self.version, self.timeout_seconds, self.max_answer_bytes)
        if self.protocol == "grpc":
            return lambda: GrpcTransport(self.target, self._access, to)
        base = f"{'https' if self.tls else 'http'}://{self.target.rstrip('/')}"
        return lambda: RestTransport(base, self.binary, self.ca_file, to)

    @property
    def _access(self) -> Access:
        names = (self.ca_file, self.certificate_file, self.key_file, self.server_name)
        return Access(self.tls, *names, headers=self.headers)

    @property
    def _name(self) -> str:
        return f"the model {self.model!r} at {self.target}"


def _checked(found: Mapping[str, Array], output: Output, taken: Input, rows: int) -> Array:
    """(rows, *layer) of one output: float32, or float64 where that does not hold its numbers.

    Raises:
        OracleFailed: if the output is missing, or has another shape.
    """
    array = found.get(output.name)
    if array is None:
        raise OracleFailed(
            f"it gave no numbers for the output {output.name!r}{did_you_mean(output.name, found)}"
        )
    if taken.shape_of(array.shape, rows) != output.layer.shape:
        rows_first = (rows,) if taken.has_rows else ()
        raise OracleFailed(
            f"output {output.name!r}: expected shape {(*rows_first, *output.layer.shape)}, one "
            f"entry a stimulus, got {array.shape}"
        )
    narrow = np.can_cast(array.dtype, np.float32, "safe")
    values: Array = array.reshape(rows, *output.layer.shape)
    return values.astype(np.float32 if narrow else np.float64)
