"""A model behind an HTTP API that answers JSON."""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import Accounting, Capability, LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    MessageTooLarge,
    MissingExtra,
    OracleError,
    OracleFailed,
    OracleTimeout,
)
from blackbox_am.oracles._at_once import at_once
from blackbox_am.oracles._http_answer import AnswerReader, Form, brief
from blackbox_am.oracles._http_failure import excerpt, refusal, unreachable
from blackbox_am.oracles._http_request import ONE, Body, Encoding, RequestWriter
from blackbox_am.oracles._inputs import check_labels, check_positive, checked_shape
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles._secrets import resolved_headers, struck_out
from blackbox_am.version import __version__

if TYPE_CHECKING:
    import httpx

Matrix = NDArray[np.float32]

LAYER = "scores"

_REDIRECTS = 3

_OPENING = threading.Lock()


@dataclass(frozen=True)
class Http(Oracle):
    """An API that takes images and answers with JSON: scores, the best few, or one label.

    A configuration says how a request is made and where in its answer the scores are::

        [oracles.api]
        kind = "http"
        url = "https://api.example.com/v1/classify"
        stimulus_shape = [3, 224, 224]
        labels = ["cat", "dog"]
        headers = { Authorization = "Bearer ${API_KEY}" }
        template = { model = "m-1", input = "data:image/png;base64,$image" }
        scores = "result.classes[].[name, score]"
        answer = "top"

    The template is the JSON of a request. `$image` in it becomes one stimulus, and there is a
    request for each; or `$images` becomes a list of `batch_size`, each put into `item`, and
    the scores are a list with an entry for each. `scores` is a JMESPath expression.

    Secrets stand in headers, by reference: ``${NAME}`` is an environment variable and
    ``${file:/run/secrets/key}`` what a file holds, read at each request. They are in no
    description, log or error of ours, not even where the API repeats them in its own.

    Units are those of one layer, `scores`. Redirects to another host are refused, and no
    certificate goes unchecked.

    Attributes:
        url: where requests go, by POST.
        stimulus_shape: shape of one stimulus; (1 or 3, height, width) for files of images.
        labels: names of the units.
        units: how many, where there are no labels.
        image: how a stimulus is encoded: a `png` file (rounded to 1/255) or a `jpeg` one
            (lossy), in base64 within JSON; `floats` from 0 to 1 or `bytes` from 0 to 255,
            in nested lists.
        channels_last: whether such lists are (height, width, channels).
        body: `json`; `multipart`, where texts in the template are fields and `$image` is a
            file; or `raw`, where the body is the file and nothing else.
        template: of the request.
        item: of one stimulus in a batch.
        headers: of the request.
        scores: where the scores are in the answer.
        answer: `scores` for a number a unit, in a list, by label, or in pairs of label and
            number; `top` for some of them, by label or in pairs; `label` for one label or
            index, which becomes 1 and the others 0.
        missing: score of units that `top` leaves out: nan, or a floor.
        ignore_others: whether labels other than `labels` are passed over.
        timeout_seconds: how long one request may take.
        max_answer_bytes: the longest answer that is read.
        parallel: requests at the same time.
        ca_file: certificates of the authorities to trust instead of the public ones.
        deterministic: whether the same stimuli always give the same scores.
        batch_size: rows it likes best in one call, and the most in one request.

    Raises:
        InvalidSpec: for a field that makes no sense.
    """

    kind: ClassVar[str] = "http"
    incidental: ClassVar[frozenset[str]] = frozenset(
        {"timeout_seconds", "max_answer_bytes", "parallel", "ca_file", "deterministic"}
    )
    metered: ClassVar[bool] = True
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
    missing: float = math.nan
    ignore_others: bool = False
    timeout_seconds: float = 60.0
    max_answer_bytes: int = 2**20
    parallel: int = 1
    ca_file: str = ""
    deterministic: bool = True
    batch_size: int = 16

    def __post_init__(self) -> None:
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
        if math.isinf(self.missing):
            raise InvalidSpec("missing: expected a number, or nan, got infinity", field="missing")
        if self.answer not in ("scores", "top", "label"):
            raise InvalidSpec(
                f"answer: expected scores, top or label, got {self.answer!r}", field="answer"
            )
        self._check_url()
        _ = self._writer

    def describe(self) -> OracleInfo:
        """What its configuration says of it.

        Raises:
            MissingExtra: where `httpx` or `jmespath` is not installed.
            InvalidSpec: for an expression that is not JMESPath, or unreadable certificates.
        """
        _ = self._expression, self._client
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
            OracleUnavailable: where it cannot be reached, or says that it is busy; carries
                `retry_after` where it says for how long.
            OracleTimeout: where it does not answer in time.
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
        """Closes the connections. The next call opens them anew."""
        client = vars(self).pop("_opened", None)
        if client is not None:
            client.close()

    def _ask(self, rows: Matrix) -> Matrix:
        """(N, units) for one request's stimuli."""
        headers, secrets = resolved_headers(self.headers)
        try:
            text = self._counted(rows, headers)
            return self._read(text, len(rows))
        except (OracleError, MessageTooLarge) as error:
            message = struck_out(f"{self._name}: {error.message}", secrets)
            # Without its cause: a traceback would show what was just struck out.
            raise type(error)(message, retry_after=error.retry_after) from None

    def _counted(self, rows: Matrix, headers: dict[str, str]) -> bytes:
        import httpx

        asked = Accounting(calls=1, rows=len(rows))
        count(asked)
        try:
            return self._send(self._writer.content(rows), headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            count(-asked)  # nothing of it arrived
            if isinstance(error, httpx.ConnectTimeout):
                raise self._late() from None
            raise unreachable(error) from None

    def _send(self, content: dict[str, Any], headers: dict[str, str]) -> bytes:
        import httpx

        headers = {"Accept-Encoding": "identity", **content.pop("headers", {}), **headers}
        deadline = time.monotonic() + self.timeout_seconds
        url = self.url
        try:
            for _ in range(_REDIRECTS + 1):
                with self._client.stream("POST", url, headers=headers, **content) as answer:
                    if not 300 <= answer.status_code < 400:
                        return self._body(answer, deadline)
                    url = self._redirected(url, answer)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except httpx.TimeoutException:
            raise self._late() from None
        except httpx.TransportError as error:
            raise unreachable(error) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OracleFailed(f"{type(error).__name__}: {error}") from None
        raise OracleFailed(f"redirected {_REDIRECTS + 1} times; give the last address as url")

    def _body(self, answer: httpx.Response, deadline: float) -> bytes:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise OracleFailed("it answered with compressed data, for which it was not asked")
        body = bytearray()
        for part in answer.iter_raw():
            body += part
            if len(body) > self.max_answer_bytes:
                raise OracleFailed(
                    f"it answered with more than {self.max_answer_bytes} bytes; raise "
                    "max_answer_bytes if that is right"
                )
            if time.monotonic() > deadline:
                raise self._late()
        if not answer.is_success:
            raise refusal(answer.status_code, answer.headers, bytes(body))
        return bytes(body)

    def _redirected(self, url: str, answer: httpx.Response) -> str:
        target = urljoin(url, answer.headers.get("Location", ""))
        here, there = urlsplit(url), urlsplit(target)
        place = f"{there.scheme}://{there.netloc.rpartition('@')[2]}{there.path}"
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise OracleFailed(
                f"it redirects to another host, {place}, which is refused; if you trust that "
                "host, give it as url"
            )
        if answer.status_code not in (307, 308):
            raise OracleFailed(
                f"it answered {answer.status_code} and redirects to {place}; give that as url"
            )
        return str(target)

    def _read(self, body: bytes, rows: int) -> Matrix:
        try:
            whole = json.loads(body)
        except (ValueError, RecursionError):
            raise OracleFailed(f"expected JSON, got {excerpt(body)}") from None
        try:
            found = self._expression.search(whole)
        except Exception as error:  # jmespath's own, of no common class
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

    def _late(self) -> OracleTimeout:
        return OracleTimeout(
            f"it did not answer within {self.timeout_seconds:g} s; raise timeout_seconds, or see "
            "what keeps it busy"
        )

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
        except Exception as error:  # jmespath's own, of no common class
            raise InvalidSpec(
                f"scores: {self.scores!r} is not JMESPath: {error}", field="scores"
            ) from error

    @property
    def _client(self) -> httpx.Client:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra.of("httpx", "http") from error
        with _OPENING:
            if "_opened" not in vars(self):
                trusted: ssl.SSLContext | bool = True
                if self.ca_file:
                    try:
                        trusted = ssl.create_default_context(cafile=self.ca_file)
                    except (OSError, ssl.SSLError) as error:
                        raise InvalidSpec(
                            f"ca_file: cannot read certificates from {self.ca_file}: {error}",
                            field="ca_file",
                        ) from error
                vars(self)["_opened"] = httpx.Client(
                    verify=trusted,
                    timeout=self.timeout_seconds,
                    headers={"User-Agent": f"blackbox-am/{__version__}"},
                )
            client: httpx.Client = vars(self)["_opened"]
        return client

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
                "url: it stands in logs and errors, and can hold no secret; use headers, such as "
                '{ Authorization = "Bearer ${API_KEY}" }',
                field="url",
            )
