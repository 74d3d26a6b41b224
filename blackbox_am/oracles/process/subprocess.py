"""A program in any language as an oracle, connected by its standard streams."""

from __future__ import annotations

import json
import math
import shutil
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError, InvalidSpec
from blackbox_am.oracles._inputs import check_labels, check_positive, checked_shape
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.process._process import Process, shown

Matrix = NDArray[np.floating[Any]]

LAYER = "scores"

_HEADER = struct.Struct("<II")
_NUMBER_BYTES = 64
_SPARE_BYTES = 2**16


@dataclass(frozen=True)
class Subprocess(Oracle):
    """A program that reads batches of stimuli and writes their scores.

    The program is started with the first request, answers many requests, and is started again
    where it has ended. It writes one answer to each request and flushes its output. It must read
    its input by the line or by the byte, not in blocks (`mawk` does so with `-W interactive`
    only). It may write anything to standard error, whose end is shown in errors. It should end
    when its standard input ends.

    Protocol ``json``: a request is one line of JSON, N rows of numbers in row-major order,

        {"shape": [3, 32, 32], "stimuli": [[0.1, 0.2, ...], ...]}

    and the answer is one line, with a row of `units` numbers for each stimulus (null where a
    measurement failed), or with an error message. After an error message, further requests follow
    as usual. Numbers are read in float64::

        {"scores": [[0.9, 0.1], ...]}
        {"error": "no cuda"}

    Protocol ``frames``: little-endian throughout. A request is two uint32, N and the count of
    numbers in a row, and then these numbers as float32. The answer is two uint32, N and `units`,
    and then the scores as float32 (nan if a measurement failed). An error message is two uint32,
    0 and a length in bytes, and then the message in UTF-8 with this length.

    For POSIX systems only. `close` ends the program and every process of its group.

    Attributes:
        command: the program and its arguments; no shell reads them.
        stimulus_shape: shape of one stimulus.
        units: number of scores for a stimulus; the number of `labels` unless given.
        labels: names of the units.
        protocol: `json` or `frames`.
        timeout_seconds: how long one answer may take.
        start_seconds: how much longer the first answer may take.
        folder: the working directory of the program.
        environment: variables of the program in addition to those of the server.
        deterministic: whether the same stimuli always give the same scores.
        batch_size: rows in one request, at most.
        model: a name for the computation, such as `v3`, in place of the command, the folder and the
            environment. Change the name when the program changes. Without a name, the command and
            the contents of the files named in the command identify the model; other files that the
            program reads are ignored.

    Raises:
        InvalidSpec: for an empty command, or numbers out of range.
    """

    kind: ClassVar[str] = "subprocess"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {"timeout_seconds", "start_seconds", "deterministic", "batch_size", "labels"}
    )
    billable: ClassVar[bool] = True

    command: tuple[str, ...]
    stimulus_shape: tuple[int, ...]
    units: int = 0
    labels: tuple[str, ...] = ()
    protocol: Literal["json", "frames"] = "json"
    timeout_seconds: float = 60.0
    start_seconds: float = 60.0
    folder: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    deterministic: bool = True
    batch_size: int = 64
    model: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.command, str) or not self.command or not self.command[0]:
            raise InvalidSpec(
                'command: expected a program and its arguments, such as ["python", "mine.py"], '
                f"got {self.command!r}",
                field="command",
            )
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        object.__setattr__(self, "units", self.units or len(self.labels))
        if self.units < 1:
            raise InvalidSpec(
                "units: expected how many numbers the program answers a stimulus, or labels for "
                f"them, got {self.units}",
                field="units",
            )
        check_labels(self.labels, self.units)
        if self.protocol not in ("json", "frames"):
            raise InvalidSpec(
                f"protocol: expected json or frames, got {self.protocol!r}", field="protocol"
            )
        check_positive("timeout_seconds", self.timeout_seconds)
        check_positive("batch_size", self.batch_size)
        if not 0 <= self.start_seconds < math.inf:
            raise InvalidSpec(
                f"start_seconds: expected 0 or more, got {self.start_seconds}",
                field="start_seconds",
            )

    def contents(self) -> Mapping[str, object]:
        if self.model:
            return dict.fromkeys(("command", "folder", "environment"))
        folder = Path(self.folder or ".")
        paths = [folder / word for word in self.command]
        paths[0] = Path(shutil.which(self.command[0]) or paths[0])
        files = {f"command[{place}]": path for place, path in enumerate(paths) if path.is_file()}
        words = [word for word, path in zip(self.command, paths, strict=True) if not path.is_file()]
        return {"command": words, "folder": None, **files}

    def describe(self) -> OracleInfo:
        layer = LayerInfo(LAYER, "scores", (self.units,), ("unit",), labels=self.labels)
        return OracleInfo(
            self.kind,
            Capability.SCORES | Capability.UNITS,
            self.stimulus_shape,
            (layer,),
            self.deterministic,
            self.batch_size,
        )

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`, without gradients.

        Raises:
            InvalidSpec: if the program cannot be started.
            OracleUnavailable: if the program ends before it has answered; the next call
                starts it again.
            OracleTimeout: if the program does not answer in time. It is ended then.
            OracleFailed: if the program reports an error, or its answer does not have scores
                for the stimuli. In the latter case the program is ended.
        """
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        if not len(stimuli) or not units:
            return torch.empty(len(stimuli), len(units), device=stimuli.device)
        rows = stimuli.detach().to("cpu", torch.float32).flatten(1).numpy()
        with self._lock:
            pieces = [
                self._ask(rows[start : start + self.batch_size])
                for start in range(0, len(rows), self.batch_size)
            ]
        answer = torch.from_numpy(np.concatenate(pieces))
        return LayerReading(info.layers[0], units)(answer).to(stimuli.device)

    def close(self) -> None:
        """Ends the program. A call that waits for it fails; the next call starts it again."""
        process: Process | None = vars(self).get("_process")
        if process is not None and self._lock.locked():
            process.stop()
        with self._lock:
            self._end()

    def _ask(self, rows: Matrix) -> Matrix:
        process: Process | None = vars(self).get("_process")
        seconds = self.timeout_seconds
        if process is None or not process.alive:
            self._end()
            process = vars(self)["_process"] = Process(self.command, self.folder, self.environment)
            seconds += self.start_seconds
        ask = self._ask_json if self.protocol == "json" else self._ask_frames
        try:
            scores, error = ask(process, rows, seconds)
        except BlackboxError:
            # Later output would be read as the answer to the next request.
            self._end()
            raise
        if scores is None:
            raise process.problem(f"reports: {error}")
        return scores

    def _end(self) -> None:
        process: Process | None = vars(self).pop("_process", None)
        if process is not None:
            process.end()

    def _ask_json(
        self, process: Process, rows: Matrix, seconds: float
    ) -> tuple[Matrix | None, str]:
        plain = {"shape": self.stimulus_shape, "stimuli": rows.tolist()}
        request = json.dumps(plain, separators=(",", ":")).encode() + b"\n"
        limit = _SPARE_BYTES + _NUMBER_BYTES * len(rows) * self.units

        def length_of(answer: bytearray) -> int | None:
            end = answer.find(b"\n")
            return None if end < 0 else end + 1

        line = process.ask(request, length_of, limit, seconds)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise process.problem(
                f"answered {shown(line)}, which is not a line of JSON; it must write everything "
                "but its answers to standard error"
            ) from error
        if isinstance(answer, dict) and "error" in answer:
            return None, str(answer["error"])
        scores = answer.get("scores") if isinstance(answer, dict) else None
        if not isinstance(scores, list):
            raise process.problem(f'answered {shown(line)}; expected {{"scores": [[...], ...]}}')
        self._check_rows(process, scores, len(rows))
        try:
            numbers = [[math.nan if n is None else float(n) for n in row] for row in scores]
        except OverflowError as error:
            raise process.problem("answered with a number that no float can hold") from error
        return np.array(numbers, np.float64), ""

    def _check_rows(self, process: Process, scores: list[Any], rows: int) -> None:
        if len(scores) != rows:
            raise process.problem(
                f"was asked for {rows} stimuli and answered with {len(scores)} rows of scores"
            )
        for number, row in enumerate(scores):
            if not isinstance(row, list) or len(row) != self.units:
                came = f"{len(row)} of them" if isinstance(row, list) else repr(row)[:80]
                raise process.problem(
                    f"answered row {number} with {came}; expected a list of {self.units} numbers"
                )
            for score in row:
                if score is not None and type(score) not in (int, float):
                    raise process.problem(
                        f"answered row {number} with {repr(score)[:80]}; expected numbers, or null"
                    )

    def _ask_frames(
        self, process: Process, rows: Matrix, seconds: float
    ) -> tuple[Matrix | None, str]:
        request = _HEADER.pack(*rows.shape) + rows.astype("<f4").tobytes()
        expected = (len(rows), self.units)

        def length_of(answer: bytearray) -> int | None:
            if len(answer) < _HEADER.size:
                return None
            header = _HEADER.unpack_from(answer)
            if header[0] == 0 and header[1] <= _SPARE_BYTES:
                length = _HEADER.size + header[1]
            elif header == expected:
                length = _HEADER.size + 4 * len(rows) * self.units
            else:
                raise process.problem(
                    f"began its answer with {bytes(answer[: _HEADER.size])!r}, which announces "
                    f"{header[0]} rows of {header[1]} numbers; expected {expected[0]} rows of "
                    f"{expected[1]}, as two little-endian uint32"
                )
            return length if len(answer) >= length else None

        limit = _SPARE_BYTES + 4 * len(rows) * self.units
        answer = process.ask(request, length_of, limit, seconds)
        body = answer[_HEADER.size :]
        if _HEADER.unpack_from(answer) != expected:
            return None, body.decode("utf-8", "replace")
        return np.frombuffer(body, "<f4").reshape(expected).astype(np.float32), ""

    @property
    def _lock(self) -> threading.Lock:
        lock: threading.Lock = vars(self).setdefault("_asking", threading.Lock())
        return lock
