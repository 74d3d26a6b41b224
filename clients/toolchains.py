"""What a client needs of a machine, and what the machine has."""

from __future__ import annotations

import re
import shutil
import subprocess

from clients import processes
from clients.client_toml import Client

_NEED = re.compile(r"([\w.+-]+?)(?:>=([\d.]+))?")
_VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")
VERSION_SECONDS = 30.0
CHECK_SECONDS = 180.0
"""Seconds of `check`, which may ask a registry."""
VERSION_ARGUMENTS = {"go": "version"}
"""How a command is asked for its version, where it is not `--version`."""


def lacking(client: Client, environment: dict[str, str]) -> str:
    """Why the client cannot be built here, in one line; empty where it can."""
    for need in client.needs:
        found = _lacking_command(need)
        if found:
            return found
    if not client.check:
        return ""
    try:
        code, output = processes.run(
            client.check, client.folder, environment, CHECK_SECONDS, captured=True
        )
    except processes.HungCommand as error:
        return f"check: {error}"
    lines = output.strip().splitlines()
    if code == 0:
        return ""
    return lines[0] if lines else f"{client.check!r} failed with code {code}"


def _lacking_command(need: str) -> str:
    match = _NEED.fullmatch(need)
    if match is None:
        return f"needs: expected a command such as node>=20, got {need!r}"
    command, least = match[1], match[2]
    if shutil.which(command) is None:
        return f"the command {command} is not installed"
    if least is None:
        return ""
    found = version_of(command)
    if _numbers(found) < _numbers(least):
        return f"the command {command} has version {found or 'unknown'}, {least} or later is needed"
    return ""


def version_of(command: str) -> str:
    """The version that a command prints, such as `20.19.2`; empty where it prints none."""
    argument = VERSION_ARGUMENTS.get(command, "--version")
    try:
        done = subprocess.run(  # noqa: S603  # a command that a client needs
            [command, argument], capture_output=True, text=True, timeout=VERSION_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found else ""


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part]
