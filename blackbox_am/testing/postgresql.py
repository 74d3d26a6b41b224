"""A real PostgreSQL server in a folder, for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from blackbox_am.errors import Unsupported

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
"""Debian has the programs of the server outside the path."""
_USER = "postgres"
START_SECONDS = 60.0


class PostgreSQL:
    """A database server on a free port of this machine, inside the context.

    PostgreSQL refuses to run as root, so root starts it as the user `postgres`.

    Attributes:
        port: its port.

    Raises:
        Unsupported: on entry, if PostgreSQL is not installed here.
    """

    def __init__(self) -> None:
        self.port = 0
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if _program("initdb") is None:
            raise Unsupported(
                "PostgreSQL is not installed here (no program initdb); on Debian: apt install "
                "postgresql"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="blackbox_am-postgresql-"))
        if os.getuid() == 0:
            shutil.chown(self._folder, _USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--auth", "trust", "--username", _USER, "--encoding", "UTF8", "--no-sync"]
        command = [*self._command("initdb"), *options]
        made = subprocess.run(command, cwd=self._folder, capture_output=True, check=False)  # noqa: S603
        if made.returncode:
            raise OSError(f"initdb failed: {made.stderr.decode('utf-8', 'replace')[-2000:]}")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(at_once=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        command = [*self._command("postgres"), "-p", str(self.port), "-k", str(self._folder)]
        with (self._folder / "log").open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                [*command, "-c", "listen_addresses=127.0.0.1"],
                cwd=self._folder,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the caller handles Ctrl-C and stops the server
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise OSError(f"PostgreSQL did not start: {self._log()}")
            time.sleep(0.05)

    def stop(self, *, at_once: bool = False) -> None:
        """Stops the server. Its connections end in order unless `at_once`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait()

    def emptied(self) -> str:
        """Removes all tables of the database. Returns its URL.

        A new database would cost nine hundred files.
        """
        engine = sa.create_engine(self.url(_USER))
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        engine.dispose()
        return self.url(_USER)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{name}"

    def _answers(self) -> bool:
        ready = self._command("pg_isready", data=False)
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--quiet"]
        return subprocess.run([*ready, *where], check=False).returncode == 0  # noqa: S603

    def _command(self, program: str, *, data: bool = True) -> list[str]:
        command = [str(_program(program))]
        if data:
            command += ["-D", str(self._folder / "data")]
        if os.getuid() == 0:
            command = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", *command]
        return command

    def _log(self) -> str:
        return (self._folder / "log").read_text("utf-8", "replace")[-2000:]


def _program(name: str) -> Path | None:
    for folder in _PROGRAMS:
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    return None if found is None else Path(found)
