"""A model behind an HTTP API that answers JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, MissingExtra, OracleFailed
from blackbox_am.oracles._at_once import at_once
from blackbox_am.oracles._inputs import check_labels, check_positive, checked_shape
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles._secrets import resolved_headers, without_secrets
from blackbox_am.oracles.http._answer import AnswerReader, Form, brief
from blackbox_am.oracles.http._connection import HttpConnection, counted
from blackbox_am.oracles.http._failure import excerpt
from blackbox_am.oracles.http._request import ONE, Body, Encoding, RequestWriter

Matrix = NDArray[np.floating[Any]]

LAYER = "scores"


@dataclass(frozen=True)
class Http(Oracle):
    """An API that takes images and answers with JSON: all scores, the best few, or one label.

    The configuration says how a request is made, and where the scores are in the answer::

        [oracles.api]
        kind = "http"
        url = "https://api.example.com/v1/classify"
        stimulus_shape = [3, 224, 224]
        labels = ["cat", "dog"]
        headers = { Authorization = "Bearer ${API_KEY}" }
        template = { model = "m-1", input = "data:image/png;base64,$image" }
        scores = "result.classes[].[name, score]"
        answer = "top"

    The template is the JSON of a request. `$image` in it is replaced by one stimulus, and each
    stimulus is sent in a separate request. Alternatively, `$images` is replaced by a list of up to
    `batch_size` stimuli, each put into `item`; the scores are then a list with an entry for each
    stimulus. `scores` is a JMESPath expression.

    Secrets in headers are given by reference: ``${NAME}`` is an environment variable, and
    ``${file:/run/secrets/key}`` the content of a file, read at each request. No description, log or
    error shows them, even if an error message of the API contains them.

    The units are those of one layer, `scores`. Redirects to other hosts are refused, and
    certificates are always checked.

    Attributes:
        url: address of the requests, which are POST.
        stimulus_shape: shape of one stimulus; for files of images (1 or 3, height, width), or
            (4, ...) where the fourth channel is the opacity of a png file.
        labels: names of the units.
        units: number of units, where there are no labels.
        image: how a stimulus is encoded: a `png` file (rounded to 1/255) or a `jpeg` one
            (lossy), in base64 within JSON; `floats` from 0 to 1 or `bytes` from 0 to 255,
            in nested lists.
        channels_last: whether such lists are (height, width, channels), or (frames, height,
            width, channels).
        body: `json`; `multipart`, where texts in the template are fields and `$image` is a
            file; or `raw`, where the body is the file and nothing else.
        template: JSON of the request.
        item: JSON of one stimulus in a batch.
        headers: of the request.
        scores: where the scores are in the answer.
        answer: `scores` for a number a unit, in a list, by label, or in pairs of label and
            number (for a single unit, the number alone is accepted); `top` for some of them, by
            label or in pairs; `label` for one label or index, which becomes 1 and the others 0.
        missing: score of units that `top` leaves out: a floor, such as 0 for probabilities, or nan
            for a score that is unknown. An answer that leaves units out is an error if None.
        ignore_others: whether labels that are not in `labels` are passed over.
        timeout_seconds: how long one request may take.
        max_answer_bytes: the longest answer that is read.
        parallel: number of requests at the same time.
        ca_file: certificates of the authorities to trust instead of the public ones.
        deterministic: whether the same stimuli always give the same scores.
        batch_size: preferred rows in one call, and the most rows in one request.
        model: a name for the model behind the address, such as `v3`, which identifies the model in
            place of the address and the headers. Change the name when the model changes.

    Raises:
        InvalidSpec: for an invalid field.
    """

    kind: ClassVar[str] = "http"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {
            "timeout_seconds",
            "max_answer_bytes",
            "parallel",
            "ca_file",
            "deterministic",
            "batch_size",
        }
    )
    billable: ClassVar[bool] = True
    counts_itself: ClassVar[bool] = True

    url: str
    stimulus_shape: tuple[int, ...]
    labels: tuple[str, ...] = ()
    units: int = 0
    image: Encoding = "png"
    channels_last: bool = False
    body: Body = "json"
    template: Any = field(default_factory=lambda: {"image": ONE})
    item: Any = ONE
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    scores: str = "scores"
    answer: Form = "scores"
    missing: float | None = None
    ignore_others: bool = False
    timeout_seconds: float = 60.0
    max_answer_bytes: int = 2**20
    parallel: int = 1
    ca_file: str = ""
    deterministic: bool = True
    batch_size: int = 16
    model: str = ""

    def __post_init__(self) -> None:
        _ = self._connection  # made before threads can race for it
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        object.__setattr__(self, "units", self.units or len(self.labels))
        if self.units < 1:
            raise InvalidSpec(
                f"labels: expected the names of the classes, or units, got {self.units}",
                field="labels",
            )
        check_labels(self.labels, self.units)
        for name in ("timeout_seconds", "max_answer_bytes", "parallel", "batch_size"):
            check_positive(name, getattr(self, name))
        if self.missing is not None and math.isinf(self.missing):
            raise InvalidSpec("missing: expected a number, or nan, got infinity", field="missing")
        if self.answer not in ("scores", "top", "label"):
            raise InvalidSpec(
                f"answer: expected scores, top or label, got {self.answer!r}", field="answer"
            )
        self._check_url()
        _ = self._writer

    def contents(self) -> Mapping[str, object]:
        return dict.fromkeys(("url", "headers")) if self.model else {}

    def describe(self) -> OracleInfo:
        """The description that follows from the configuration.

        Raises:
            MissingExtra: if `httpx` or `jmespath` is not installed.
            InvalidSpec: for an expression that is not JMESPath, or unreadable certificates.
        """
        _ = self._expression
        self._connection.open()
        layer = LayerInfo(LAYER, "scores", (self.units,), ("unit",), labels=self.labels)
        return OracleInfo(
            self.kind,
            Capability.SCORES,
            self.stimulus_shape,
            (layer,),
            self.deterministic,
            self.batch_size,
        )

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`, without gradients.

        Raises:
            OracleUnavailable: if the API cannot be reached or is busy, with `retry_after`
                where the API says how long.
            OracleTimeout: if the API does not answer in time.
            OracleFailed: for any other answer than scores of the stimuli.
        """
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        if not len(stimuli) or not units:
            return torch.empty(len(stimuli), len(units), device=stimuli.device)
        rows = stimuli.detach().to("cpu", torch.float32).numpy()
        size = self.batch_size if self._writer.batched else 1
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        pieces = at_once(self._ask, batches, self.parallel)
        answer = torch.from_numpy(np.concatenate(pieces))
        return LayerReading(info.layers[0], units)(answer).to(stimuli.device)

    def close(self) -> None:
        """Closes the connections. The next call opens them again."""
        self._connection.close()

    def _ask(self, rows: Matrix) -> Matrix:
        """(N, units) for one request's stimuli."""
        headers, secrets = resolved_headers(self.headers)
        with without_secrets(self._name, secrets):
            content = self._writer.content(rows)
            headers = {**content.pop("headers", {}), **headers}
            with counted(len(rows)):
                answer = self._connection.exchange("POST", self.url, headers, content)
            return self._read(answer.body, len(rows))

    def _read(self, body: bytes, rows: int) -> Matrix:
        try:
            whole = json.loads(body)
        except (ValueError, RecursionError):
            raise OracleFailed(f"expected JSON, got {excerpt(body)}") from None
        try:
            found = self._expression.search(whole)
        except Exception as error:  # jmespath's errors have no common class
            raise OracleFailed(
                f"the expression {self.scores!r} does not fit the answer {excerpt(body)}: {error}"
            ) from error
        if found is None:
            raise OracleFailed(f"there is nothing at {self.scores!r} in {excerpt(body)}")
        answers = found if self._writer.batched else [found]
        if not isinstance(answers, list) or len(answers) != rows:
            raise OracleFailed(
                f"expected a list with an entry for each of {rows} stimuli at {self.scores!r}, "
                f"got {brief(found)}"
            )
        return np.stack([self._reader.row(one) for one in answers])

    @cached_property
    def _writer(self) -> RequestWriter:
        return RequestWriter(
            self.stimulus_shape,
            self.image,
            self.body,
            self.template,
            self.item,
            self.channels_last,
        )

    @cached_property
    def _reader(self) -> AnswerReader:
        return AnswerReader(self.answer, self.units, self.labels, self.missing, self.ignore_others)

    @cached_property
    def _expression(self) -> Any:
        try:
            import jmespath
        except ImportError as error:
            raise MissingExtra.of("jmespath", "http") from error
        try:
            return jmespath.compile(self.scores)
        except Exception as error:  # jmespath's errors have no common class
            raise InvalidSpec(
                f"scores: {self.scores!r} is not JMESPath: {error}", field="scores"
            ) from error

    @cached_property
    def _connection(self) -> HttpConnection:
        return HttpConnection(self.url, self.timeout_seconds, self.max_answer_bytes, self.ca_file)

    @property
    def _name(self) -> str:
        return f"the API at {self.url.partition('?')[0]}"

    def _check_url(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidSpec(
                "url: expected an address such as https://api.example.com/classify, got "
                f"{self.url!r}",
                field="url",
            )
        if "@" in parts.netloc or "${" in self.url:
            raise InvalidSpec(
                "url: logs and errors show it, so it must have no secret; use headers, such as "
                '{ Authorization = "Bearer ${API_KEY}" }',
                field="url",
            )
