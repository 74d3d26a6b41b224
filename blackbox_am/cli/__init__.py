"""The command line; each file contains one command or one group of commands.

The root imports a command when it is called (`lazy`), and a command imports its dependencies when
it runs. ``blackbox-am --help`` and the commands that only call a server therefore start without
torch.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our own error messages report failed calls

from blackbox_am.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Runs the command line."""
    app()
