"""The command line. One file a command, or a group of them.

Commands import what they need when they run: ``blackbox-am --help`` and everything that
only talks to a server starts without torch.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it logs of failed calls, we say ourselves

from blackbox_am.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Runs the command line."""
    app()
