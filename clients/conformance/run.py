"""Runs the cases with the driver of a language: `python -m clients.conformance.run`."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from blackbox_am.errors import BlackboxError, NotFound
from clients import processes
from clients.conformance.case import Case, chosen_cases
from clients.conformance.driver import Driver, DriverLost
from clients.conformance.fixtures import Servers
from clients.conformance.matching import difference
from clients.conformance.runner import Failed, Runner, python_driver

ROOT = Path(__file__).parents[2]


class Suite:
    """The cases with one driver, which goes on from case to case until one fails.

    Args:
        language: of the driver.
        command, folder: of its program.
        servers: the servers of the run.
    """

    def __init__(self, language: str, command: str, folder: Path, servers: Servers) -> None:
        self._language = language
        self._commands = {"driver": (command, folder), "python": python_driver()}
        self._servers = servers
        self._drivers: dict[str, Driver] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, case: Case) -> str:
        """Goes through one case. Returns what went wrong; empty where nothing did."""
        try:
            if not case.same or self._language == "python":
                self._through(case, "driver")
                return ""
            found, python = self._through(case, "driver"), self._through(case, "python")
            for name in case.same:
                differs = difference(python[name], found[name])
                if differs:
                    return f"{name} differs from the Python client: {differs}"
        except Failed as error:
            problem = "\n".join([str(error), *self._tails()])
        except DriverLost as error:
            problem = str(error)
        else:
            return ""
        self._stack.close()
        self._drivers.clear()
        return problem

    def _tails(self) -> Iterator[str]:
        """The last lines that the drivers wrote to their standard errors."""
        for name, driver in self._drivers.items():
            tail = driver.tail()
            if tail:
                yield f"standard error of the {name} ends with:\n{textwrap.indent(tail, '  ')}"

    def _through(self, case: Case, first: str) -> dict[str, Any]:
        names = {"driver": first}
        if any(step.by == "python" for step in case.steps):
            names["python"] = "python" if first == "driver" else "driver"
        drivers = {role: self._driver(name) for role, name in names.items()}
        runner = Runner(self._servers, drivers, case)
        runner.run()
        return runner.saved

    def _driver(self, name: str) -> Driver:
        if name not in self._drivers:
            driver = Driver(*self._commands[name], environment())
            self._drivers[name] = self._stack.enter_context(driver)
        return self._drivers[name]


def environment() -> dict[str, str]:
    """Variables of every command of a client."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        "BLACKBOX_AM_PYTHON": sys.executable,
        "PROTOS": str(ROOT / "protos"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def conformance(language: str, command: str, folder: Path, chosen: Sequence[Case]) -> list[str]:
    """Runs cases, and prints a line for each. Returns the names of those that failed."""
    failed = []
    with Servers() as servers, Suite(language, command, folder, servers) as suite:
        for case in chosen:
            started = time.monotonic()
            problem = suite.run(case)
            seconds = time.monotonic() - started
            print(f"  {'FAILED' if problem else 'ok':6} {case.name} ({seconds:.1f} s)", flush=True)
            if problem:
                print(textwrap.indent(problem, " " * 9), flush=True)
                failed.append(case.name)
    passed = len(chosen) - len(failed)
    print(f"{language}: {passed} of {len(chosen)} cases passed", flush=True)
    if failed:
        print(f"{language}: failing cases: {', '.join(failed)}", flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code: 1 if a case failed."""
    parser = argparse.ArgumentParser(
        prog="python -m clients.conformance.run",
        description="Runs the conformance cases with the driver of a client.",
    )
    parser.add_argument("--driver", metavar="LANGUAGE", default="python", help="default: python")
    parser.add_argument("--case", metavar="PATTERN", default="*", help="such as 'watch_*'")
    parser.add_argument("--list", action="store_true", help="list the cases, and run none")
    given = parser.parse_args(arguments)
    try:
        chosen = chosen_cases(given.case)
    except NotFound as error:
        parser.error(error.message)
    if given.list:
        for case in chosen:
            print(f"{case.name:40} {case.about}")
        return 0
    if given.driver == "python":
        command, folder = python_driver()
    else:
        from clients.client_toml import client_of

        client = client_of(given.driver)
        command, folder = client.driver, client.folder
    try:
        return 1 if conformance(given.driver, command, folder, chosen) else 0
    except BlackboxError as error:  # no server starts, or a case is wrong
        print(error.message, file=sys.stderr)
        return 1


if __name__ == "__main__":
    processes.end_on_sigterm()
    sys.exit(main())
