"""Channels to servers: encryption, the token that is sent with each call, and the meaning of failed
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from blackbox_am.core.addresses import grpc_proxy_options, is_loopback
from blackbox_am.core.certificates import Tls, untrusted
from blackbox_am.errors import InvalidInput

AUTHORIZATION = "authorization"
"""Key of the call metadata with the token."""
SCHEME = "Bearer "
"""The token follows this word, as in HTTP."""

Options = Sequence[tuple[str, int | str]]


def tls_of(given: bool | str | Path | Tls) -> Tls | None:
    """The TLS settings that a caller gives in a short form.

    Args:
        given: False for no encryption; True for encryption with the public authorities; a file
            with the certificates of the authorities to trust; or all settings.
    """
    if isinstance(given, Tls):
        return given
    if isinstance(given, bool):
        return Tls() if given else None
    return Tls(ca_file=str(given))


def check_token(token: str, target: str, tls: Tls | None) -> None:
    """Checks that `token` can be sent to `target`. No message contains the token.

    Raises:
        InvalidInput: for a token that no header can hold, or a connection that others can read.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(
            "token: expected printable ASCII characters without spaces, as `blackbox-am token "
            f"create` prints them, got {len(token)} characters that are not",
            field="token",
        )
    if tls is None and not is_loopback(target):
        raise InvalidInput(
            f"token: the connection to {target} is not encrypted, so others could read the token; "
            "use TLS (tls=True, or a file with the certificates to trust)",
            field="token",
        )


def metadata_of(token: str | None) -> tuple[tuple[str, str], ...]:
    """The call metadata with `token`."""
    return () if token is None else ((AUTHORIZATION, SCHEME + token),)


def channel(target: str, tls: Tls | None, token: str | None, options: Options) -> grpc.Channel:
    """A channel that connects with its first call and sends the token with each call.

    Raises:
        InvalidInput: as `check_token`, and for files that are not certificates.
    """
    if token is not None:
        check_token(token, target, tls)
    every = [*options, *grpc_proxy_options(target), *name_options(tls)]
    if tls is None:
        found = grpc.insecure_channel(target, options=every)
    else:
        credentials = grpc.ssl_channel_credentials(*tls.contents())
        found = grpc.secure_channel(target, credentials, options=every)
    return found if token is None else grpc.intercept_channel(found, _Sending(metadata_of(token)))


def name_options(tls: Tls | None) -> list[tuple[str, int | str]]:
    """Options of a channel to a server whose certificate has another name."""
    if tls is None or not tls.server_name:
        return []
    return [("grpc.ssl_target_name_override", tls.server_name)]


def meaning(details: str, tls: Tls | None) -> str:
    """An explanation of gRPC's message about a failed connection, with a remedy; empty if unknown.

    Args:
        details: the message.
        tls: the settings of the connection; None for a connection without encryption.
    """
    if tls is not None and "CERTIFICATE_VERIFY_FAILED" in details:
        why = details.partition("CERTIFICATE_VERIFY_FAILED: ")[2].partition(": ")[0]
        return untrusted(why)
    if tls is not None and "Hostname Verification" in details:
        return (
            "its certificate is for another name than "
            + (repr(tls.server_name) if tls.server_name else "that of its address")
            + "; give the name that is in it as server_name"
        )
    if tls is not None and ("WRONG_VERSION_NUMBER" in details or "http/1.x" in details):
        return "it does not speak TLS; set tls = false, or have it served with TLS"
    return _closed(details, tls)


def _closed(details: str, tls: Tls | None) -> str:
    closed = "Socket closed" in details or "reset by peer" in details
    if not closed or "failed to connect" not in details:
        return ""
    at_once = "it closes the connection at once, as a server does that "
    if tls is None:
        return at_once + "expects TLS; set tls = true (--tls) if it does"
    if not tls.certificate_file:
        return at_once + (
            "expects a certificate of its client; give certificate_file and key_file if it does"
        )
    return at_once + (
        f"does not trust the certificate in {tls.certificate_file}; ask its operator who may have "
        "signed it"
    )


@dataclass(frozen=True)
class _CallDetails(grpc.ClientCallDetails):  # type: ignore[misc]  # grpc has no types
    """The details of a call, which grpc reads as attributes."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Sending(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    """Sends metadata with each call."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def _send(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        more = _CallDetails(
            details.method,
            details.timeout,
            [*(details.metadata or ()), *self._metadata],
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(more, request)

    intercept_unary_unary = intercept_unary_stream = _send
    intercept_stream_unary = intercept_stream_stream = _send
