"""Network addresses that belong to this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(address: str) -> bool:
    """Whether an address, with or without a port, belongs to this machine.

    Such an address is never reached through a proxy, whatever `http_proxy` says, because the proxy
    would search for the address on its own machine.

    Args:
        address: `host`, `host:port`, `[::1]:port`, or a target of gRPC such as
            `dns:///localhost:50051` or `unix:/run/server.sock`.
    """
    scheme, colon, _ = address.partition(":")
    if colon and scheme in ("unix", "unix-abstract"):
        return True
    host = _host(address)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or number.is_unspecified


def is_exposed(address: str) -> bool:
    """Whether other machines can reach a server that listens on an address."""
    try:
        return ipaddress.ip_address(_host(address)).is_unspecified or not is_loopback(address)
    except ValueError:
        return not is_loopback(address)


def grpc_proxy_options(address: str) -> list[tuple[str, int]]:
    """Options of a gRPC channel to `address`; a channel to this machine uses no proxy."""
    return [("grpc.enable_http_proxy", 0)] if is_loopback(address) else []


def _host(address: str) -> str:
    """The host in an address, in small letters."""
    scheme, colon, rest = address.partition(":")
    if colon and scheme in ("dns", "ipv4", "ipv6"):
        address = rest.rpartition("/")[2]
    host = address
    if address.count(":") == 1 or address.startswith("["):
        try:
            host = urlsplit(f"//{address}").hostname or ""
        except ValueError:
            return ""
    return host.rstrip(".").lower()
