"""What to do about a certificate that does not hold."""

from __future__ import annotations


def untrusted(why: str) -> str:
    """The sentence for a server whose certificate was refused.

    Args:
        why: in the words of the TLS library.
    """
    if "expired" in why or "not yet valid" in why:
        return f"its certificate is out of date ({why}); have it renewed, or set the clock right"
    return (
        f"its certificate is not trusted ({why}); where an authority of your own has signed it, "
        "name that in ca_file"
    )
