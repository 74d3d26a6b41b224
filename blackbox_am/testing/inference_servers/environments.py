"""Virtual environments of the servers; each is created once and stored."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from blackbox_am.errors import Unsupported

PACKAGES = {
    "mlserver": "mlserver==1.7.1",
    "kserve": "kserve==0.21.0",
    "triton": "nvidia-pytriton==0.7.0",
}
"""The package of each server. Their dependencies conflict, so each needs its own environment."""

FOLDER_VARIABLE = "BLACKBOX_AM_INFERENCE_SERVERS"
"""Environment variable with the folder of the environments; default: the user's cache folder."""

_INSTALL_SECONDS = 900


def folder() -> Path:
    """The folder of the environments."""
    named = os.environ.get(FOLDER_VARIABLE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "blackbox_am" / "inference_servers"


def python_of(server: str) -> Path:
    """The Python of the environment of `server`, which is created if it does not exist.

    Raises:
        Unsupported: if pip cannot install the server; the message has the end of pip's output.
    """
    package = PACKAGES[server]
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    place = folder() / f"{package.replace('==', '-')}-{version}"
    place.mkdir(parents=True, exist_ok=True)
    python, done = place / "bin" / "python", place / "installed"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file releases the lock
        if not done.exists():
            _run([sys.executable, "-m", "venv", str(place)], package)
            _run([str(python), "-m", "pip", "install", "--quiet", package], package)
            done.touch()
    return python


def _run(command: list[str], package: str) -> None:
    try:
        subprocess.run(  # noqa: S603  # our own command
            command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
    except subprocess.CalledProcessError as error:
        end = "\n".join((error.stdout + error.stderr).strip().splitlines()[-5:])
        raise Unsupported(f"cannot install {package}: {end}") from error
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unsupported(f"cannot install {package}: {error}") from error
