"""Fake servers: what no real server of this version does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from blackbox_am.rpc.api import VERSION
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1.catalog_service_pb2_grpc import (
    CatalogServiceServicer,
    add_CatalogServiceServicer_to_server,
)
from blackbox_am.v1.study_service_pb2_grpc import (
    StudyServiceServicer,
    add_StudyServiceServicer_to_server,
)
from clients.conformance import tls
from clients.conformance.fake_catalogues import Damaged
from clients.conformance.fake_studies import Newer, Paged, Refusing, Silent

TOKENS = {"letmein": "runner", "readonly": "viewer"}
"""Tokens of the fake server `guarded`, and their roles."""


class Catalogue(CatalogServiceServicer):
    """Answers `connect`.

    Args:
        api_version: what it says to speak.
    """

    def __init__(self, api_version: str = VERSION) -> None:
        self._version = api_version

    def GetServerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return catalog_pb.GetServerInfoResponse(
            version=f"{self._version}.0", api_version=self._version, device="none"
        )


class OtherVersion(Catalogue):
    """Speaks another major version of the API."""

    def __init__(self) -> None:
        super().__init__("99.0")


class DamagedCatalogue(Damaged, Catalogue):
    """Streams that arrive damaged."""


FAKES: dict[str, tuple[Callable[[], Catalogue], Callable[[], StudyServiceServicer]]] = {
    "other_version": (OtherVersion, StudyServiceServicer),
    "newer": (Catalogue, Newer),
    "refusing": (Catalogue, Refusing),
    "silent": (Catalogue, Silent),
    "paged": (Catalogue, Paged),
    "damaged": (DamagedCatalogue, StudyServiceServicer),
    "guarded": (Catalogue, Paged),
    "encrypted": (Catalogue, Paged),
}
"""The fake servers by name."""


@contextmanager
def serving(name: str) -> Iterator[str]:
    """A fake server on a free port of this machine. Yields its address."""
    catalogue, studies = FAKES[name]
    checks = (Guard(),) if name == "guarded" else ()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), interceptors=checks, options=options)
    add_CatalogServiceServicer_to_server(catalogue(), server)
    add_StudyServiceServicer_to_server(studies(), server)
    if name == "encrypted":
        pair = tls.file("server_key").read_bytes(), tls.file("server_certificate").read_bytes()
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Asks for a token, and lets viewers only read."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        given = dict(details.invocation_metadata).get("authorization", "")
        role = TOKENS.get(given.removeprefix("Bearer "))
        verb = details.method.rpartition("/")[2]
        if role is None:
            return _refuse("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED)
        if role == "viewer" and not verb.startswith(("Get", "List", "Watch")):
            return _refuse("FORBIDDEN", grpc.StatusCode.PERMISSION_DENIED)
        return continuation(details)


def _refuse(reason: str, code: grpc.StatusCode) -> Any:
    from clients.conformance.fake_studies import abort

    return grpc.unary_unary_rpc_method_handler(
        lambda request, context: abort(context, code, reason, "the token does not permit this call")
    )
