"""HTTP requests with a time limit for the whole exchange, a size limit, and no foreign redirects.

httpx has neither of these limits: its timeouts restart with every packet.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from blackbox_am.core.addresses import is_loopback
from blackbox_am.core.metering import count
from blackbox_am.core.types import Accounting
from blackbox_am.errors import (
    BlackboxError,
    InvalidSpec,
    MissingExtra,
    OracleError,
    OracleFailed,
    OracleTimeout,
)
from blackbox_am.oracles.http._failure import refusal, unreachable
from blackbox_am.version import __version__

if TYPE_CHECKING:
    import httpx

Refusal = Callable[[int, Mapping[str, str], bytes], BlackboxError]
"""Makes the error for an unsuccessful answer from its status, headers and body."""

_REDIRECTS = 3


@dataclass(frozen=True)
class HttpAnswer:
    """A successful answer.

    Attributes:
        headers: names are found in any case.
        body: the whole body.
    """

    headers: Mapping[str, str]
    body: bytes


class HttpConnection:
    """Connections that are opened with the first request. Safe to use from any thread.

    Redirects within the host are followed, and those to other hosts are refused. Certificates
    are always checked. Proxies of the environment (`http_proxy`, `HTTPS_PROXY`) are used, but
    not for addresses of this machine.

    Args:
        url: an address on the host that all requests go to.
        timeout_seconds: how long one exchange may take.
        max_answer_bytes: the longest answer that is read.
        ca_file: certificates of the authorities to trust instead of the public ones.
    """

    def __init__(
        self, url: str, timeout_seconds: float, max_answer_bytes: int, ca_file: str = ""
    ) -> None:
        self._host = urlsplit(url).hostname or ""
        self._timeout_seconds = timeout_seconds
        self._max_answer_bytes = max_answer_bytes
        self._ca_file = ca_file
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Mapping[str, Any],
        refused: Refusal = refusal,
    ) -> HttpAnswer:
        """Sends one request and returns the answer.

        Args:
            method: HTTP method.
            url: address of the request.
            headers: of the request.
            content: body of the request, as keyword arguments of httpx.
            refused: makes the error for an unsuccessful answer.

        Raises:
            MissingExtra: if httpx is not installed.
            InvalidSpec: for unreadable certificates.
            OracleError: for any failure; its cause is httpx's error, if there is one.
            MessageTooLarge: if the server refuses the request for its size.
            BlackboxError: as `refused` makes it.
        """
        client = self.open()
        import httpx

        headers = {"Accept-Encoding": "identity", **headers}
        deadline = time.monotonic() + self._timeout_seconds
        try:
            for _ in range(_REDIRECTS + 1):
                with client.stream(method, url, headers=headers, **content) as answer:
                    if not 300 <= answer.status_code < 400:
                        return HttpAnswer(answer.headers, self._body(answer, deadline, refused))
                    url = _redirected(url, answer)
        except httpx.TimeoutException as error:
            raise self._late() from error
        except httpx.TransportError as error:
            raise unreachable(error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OracleFailed(f"{type(error).__name__}: {error}") from error
        raise OracleFailed(f"redirected {_REDIRECTS + 1} times; give the last address")

    def open(self) -> httpx.Client:
        """The client, which the first call makes.

        Raises:
            MissingExtra: if httpx is not installed.
            InvalidSpec: for unreadable certificates.
        """
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra.of("httpx", "http") from error
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    verify=self._trusted(),
                    timeout=self._timeout_seconds,
                    headers={"User-Agent": f"blackbox-am/{__version__}"},
                    mounts=self._direct(),
                )
            return self._client

    def close(self) -> None:
        """Closes the connections. The next request opens them again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _trusted(self) -> ssl.SSLContext | bool:
        if not self._ca_file:
            return True
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSpec(
                f"ca_file: cannot read certificates from {self._ca_file}: {error}",
                field="ca_file",
            ) from error

    def _direct(self) -> dict[str, None]:
        """Hosts that are reached by httpx's own transport, not by one through a proxy."""
        if not is_loopback(self._host):
            return {}
        host = f"[{self._host}]" if ":" in self._host else self._host
        return {f"all://{host}": None}

    def _body(self, answer: httpx.Response, deadline: float, refused: Refusal) -> bytes:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise OracleFailed("it answered with compressed data, which was not requested")
        body = bytearray()
        for part in answer.iter_raw():
            body += part
            if len(body) > self._max_answer_bytes:
                raise OracleFailed(
                    f"it answered with more than {self._max_answer_bytes} bytes; raise "
                    "max_answer_bytes if that is right"
                )
            if time.monotonic() > deadline:
                raise self._late()
        if not answer.is_success:
            raise refused(answer.status_code, answer.headers, bytes(body))
        return bytes(body)

    def _late(self) -> OracleTimeout:
        return OracleTimeout(
            f"it did not answer within {self._timeout_seconds:g} s; raise timeout_seconds, or see "
            "what keeps it busy"
        )


@contextmanager
def counted(rows: int) -> Iterator[None]:
    """Counts one exchange of so many rows, unless no connection was made."""
    asked = Accounting(calls=1, rows=rows)
    count(asked)
    try:
        yield
    except OracleError as error:
        import httpx

        if isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout)):
            count(-asked)  # the request did not reach the server
        raise


def _redirected(url: str, answer: httpx.Response) -> str:
    target = urljoin(url, answer.headers.get("Location", ""))
    here, there = urlsplit(url), urlsplit(target)
    place = f"{there.scheme}://{there.netloc.rpartition('@')[2]}{there.path}"
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        raise OracleFailed(
            f"it redirects to another host, {place}, which is refused; if you trust that "
            "host, give its address"
        )
    if answer.status_code not in (307, 308):
        raise OracleFailed(
            f"it answered {answer.status_code} and redirects to {place}; give that address"
        )
    return str(target)
