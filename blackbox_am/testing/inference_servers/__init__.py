"""Real servers of the Open Inference Protocol, for tests and benchmarks.

Each lives in a virtual environment of its own: nothing of theirs is imported here.
``network``, the programs ``on_*`` and ``own_client`` run there.
"""

from __future__ import annotations

from pathlib import Path


def own_client_program() -> Path:
    """The program that measures a server's own client."""
    return Path(__file__).with_name("own_client.py")
