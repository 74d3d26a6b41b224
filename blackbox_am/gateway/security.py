"""Who may ask: the browser must address this gateway by its name, and a change needs the token.

A page of another site can send requests to 127.0.0.1, and can have its own name point there (DNS
rebinding). The gateway therefore answers only requests whose `Host` is one of its names, refuses
requests that another site sent, and never allows other sites to read an answer.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blackbox_am.errors import Forbidden, Unauthenticated
from blackbox_am.gateway import answers
from blackbox_am.gateway.settings import Settings

log = logging.getLogger(__name__)

HERE = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "cache-control": "no-cache",  # a browser asks whether the page is still that of its cache
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def check_change(request: Request, settings: Settings) -> None:
    """Checks that a request may change studies.

    Raises:
        Forbidden: if the operator does not allow changes.
        Unauthenticated: without the token.
    """
    if settings.token is None:
        raise Forbidden(
            "this dashboard only shows studies; start it with --allow-changes to change them"
        )
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(), settings.token.encode())
    if scheme.lower() != "bearer" or not right:
        raise Unauthenticated(
            "a change needs the token that the dashboard printed at its start, as the header "
            "Authorization: Bearer TOKEN" + ("; this token is another one" if given else "")
        )


class Guard:
    """Refuses requests for other hosts and from other sites; adds headers for browsers.

    Args:
        app: the application.
        settings: with the names under which the gateway is addressed.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = {name.lower() for name in (*HERE, settings.host, *settings.allowed_hosts)}
        self._any_address = settings.insecure_host
        if self._any_address:
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_site(headers, scope["method"])
        except Forbidden as error:
            await answers.problem(error)(scope, receive, answer)
            return
        await self._app(scope, receive, answer)

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        name = _name(host)
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise Forbidden(
                f"this dashboard does not answer for the host {host[:80]!r}; address it as "
                f"{', '.join(sorted(self._names))}, or allow the name with --allowed-host"
            )

    def _check_site(self, headers: Headers, method: str) -> None:
        origin, host = headers.get("origin"), headers.get("host", "")
        foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
        site = headers.get("sec-fetch-site", "none")
        # A link on another site may open the page; nothing else of another site may reach it.
        opens = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if foreign or (site in ("cross-site", "same-site") and not opens):
            raise Forbidden("the request comes from a page of another site, which is not allowed")


class Bugs:
    """Answers a request that fails unexpectedly. It stands behind `Guard`, which adds the headers;
    the handler of Starlette would stand before it.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            if begun or scope["type"] != "http":
                raise  # the server closes the connection, so that the answer is not taken for whole
            log.exception("%s %s failed", scope["method"], scope["path"])
            content = {
                "reason": "SERVER_FAILED",
                "message": "internal error; see the dashboard's log",
            }
            await answers.json({"error": content}, 500)(scope, receive, send)


def _name(host: str) -> str:
    """The name in a header `Host`, without the port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    """Whether a name is a number, which no other site's name can stand for."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
