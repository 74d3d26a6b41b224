"""Real servers of the Open Inference Protocol, for tests and benchmarks.

Each server has its own virtual environment, and this package imports none of the servers' code.
``network``, the programs ``on_*`` and ``own_client`` run in these environments.
"""

from __future__ import annotations

from pathlib import Path


def own_client_program() -> Path:
    """The program that measures a server's own client."""
    return Path(__file__).with_name("own_client.py")
