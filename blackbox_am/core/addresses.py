"""Network addresses: which belong to this machine, and the port of an address without one."""

from __future__ import annotations

import ipaddress
import re

_ADDRESS = re.compile(
    r"([0-9a-z._-]+)(?::\d+)?|([0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*)|\[([0-9a-f:.]+)\](?::\d+)?",
    re.ASCII | re.IGNORECASE,
)
"""A name or a number with or without a port, or a number of IPv6 without brackets."""


DEFAULT_PORT = 50051
"""The port of a server of studies, unless its operator chose another."""


def with_port(address: str) -> str:
    """`address`, with the default port if it is a host without a port.

    gRPC would use port 443.

    Args:
        address: `host`, `host:port`, a number of IPv6 with or without brackets, or a target of gRPC
            with a scheme, which stays as it is.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or found[0] != (found[1] or found[2] or f"[{found[3]}]"):
        return address
    host = f"[{found[2]}]" if found[2] else address
    return f"{host}:{DEFAULT_PORT}"


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
    """The only host that an address names, in small letters; empty if the address can name another
    host, such as in a list, or leaves the host to a name server that the address names.
    """
    scheme, colon, rest = address.partition(":")
    if colon and scheme in ("dns", "ipv4", "ipv6"):
        address = rest
        if scheme == "dns" and rest.startswith("//"):
            server, _, address = rest[2:].partition("/")
            if server:
                return ""
        elif scheme == "dns":
            address = rest.removeprefix("/")
    found = _ADDRESS.fullmatch(address)
    return "" if found is None else (found[1] or found[2] or found[3]).rstrip(".").lower()
