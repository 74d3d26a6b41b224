"""Whether the certificate of a server and its key work, and how long."""

from __future__ import annotations

import ssl
import time

from blackbox_am.errors import InvalidSpec

_DAY = 86_400.0


def days_left(certificate: str, key: str, now: float | None = None) -> float:
    """Days until a certificate expires. A handshake in memory uses the files as a server would.

    Args:
        certificate, key: files in PEM.
        now: seconds since the epoch; the clock if None.

    Raises:
        InvalidSpec: if a file cannot be read, if they do not fit together, or if the certificate is
            not valid now.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate vouches for itself
    try:
        server.load_cert_chain(certificate, key)
        client.load_verify_locations(certificate)
        shown = _handshake(server, client)
    except (ssl.SSLError, OSError) as error:
        why = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error
        raise InvalidSpec(
            f"the certificate {certificate} with the key {key} cannot be used ({why}); expected a "
            "valid certificate and its key, in PEM",
            field="tls_certificate",
        ) from error
    expires = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    return (expires - (time.time() if now is None else now)) / _DAY


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, object]:
    """What a client sees of the certificate of a server."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up)
    theirs = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):  # the messages of a handshake
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return dict(ours.getpeercert() or {})
