"""Builds and tests the clients: `python -m clients.run [LANGUAGE ...]`, or `make clients-test`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from blackbox_am.errors import BlackboxError
from clients import processes
from clients.client_toml import Client, client_of, languages
from clients.conformance.case import Case, chosen_cases
from clients.conformance.run import conformance, environment
from clients.conformance.runner import python_driver
from clients.toolchains import lacking

PYTHON = "python"
STEP_SECONDS = {"build": 3600.0, "stale": 600.0, "test": 1800.0}
"""The limit of each command of a step. In `conformance` each answer has its own limit."""
STEPS = (*STEP_SECONDS, "conformance")
_FIELDS = {"conformance": "driver"}
"""The field of `Client` that a step needs, where its name is another."""
EPILOG = """\
steps:
  build        compiles the library, its tests, examples and conformance driver
  stale        fails where committed generated code is not that of the protos
  test         runs the client's own tests
  conformance  runs the cases of clients/conformance/cases against real and fake servers

examples:
  python -m clients.run                             all languages whose toolchain is here
  python -m clients.run go --step build --step test
  python -m clients.run go cpp --step conformance --case 'watch_*'
  python -m clients.conformance.run --list          the names of the cases
  CLIENTS_REQUIRED="cpp go" python -m clients.run   a skip of cpp or go is a failure

A failing case prints its step, what was expected, what came, and the driver's standard error.
"""


@dataclass
class Report:
    """What became of the clients.

    Attributes:
        passed: languages whose steps all passed.
        failed: what failed, by language.
        skipped: why a language was left out, by language.
    """

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def exit_code(self, required: Sequence[str]) -> int:
        """1 if something failed, or if a required language did not pass."""
        missing = [language for language in required if language not in self.passed]
        for language in missing:
            if language not in self.failed:
                why = self.skipped.get(language, "it was not run")
                print(f"{language} is required (CLIENTS_REQUIRED), but skipped: {why}")
        return 1 if self.failed or missing else 0

    def show(self) -> None:
        """Prints one line for each language."""
        print("\nclients:")
        for language in self.passed:
            print(f"  {language:12} passed")
        for language, reason in self.skipped.items():
            print(f"  {language:12} skipped: {reason}")
        for language, reason in self.failed.items():
            print(f"  {language:12} FAILED: {reason}")


def run(chosen: Sequence[str], steps: Sequence[str], cases: Sequence[Case]) -> Report:
    """Builds and tests clients.

    Args:
        chosen: the languages.
        steps: of `STEPS`.
        cases: the conformance cases.
    """
    report = Report()
    for language in chosen:
        print(f"\n{language}", flush=True)
        client = (
            Client(language=PYTHON, driver=PYTHON) if language == PYTHON else client_of(language)
        )
        has = [step for step in steps if getattr(client, _FIELDS.get(step, step))]
        reason = "" if has else f"it has none of the steps {', '.join(steps)}"
        reason = reason or lacking(client, {**os.environ, **environment()})
        if reason:
            print(f"skipped: {reason}", flush=True)
            report.skipped[language] = reason
            continue
        problem = _through(client, has, cases)
        if problem:
            report.failed[language] = problem
        else:
            report.passed.append(language)
    return report


def _through(client: Client, steps: Sequence[str], cases: Sequence[Case]) -> str:
    """Goes through the steps of a client. Returns what failed; empty where nothing did."""
    for step in steps:
        if step == "conformance":
            python = client.language == PYTHON
            command, folder = python_driver() if python else (client.driver, client.folder)
            failing = conformance(client.language, command, folder, cases)
            if failing:
                return f"cases {', '.join(failing)}"
            continue
        for command in getattr(client, step):
            problem = _command(command, step, client)
            if problem:
                return f"{step}: {problem}"
    return ""


def _command(command: str, step: str, client: Client) -> str:
    """Runs a command. Returns what went wrong."""
    started = time.monotonic()
    print(f"  $ {command}", flush=True)
    variables = {**os.environ, **environment()}
    try:
        code, _ = processes.run(command, client.folder, variables, STEP_SECONDS[step])
    except processes.HungCommand as error:
        return str(error)
    print(f"  {time.monotonic() - started:.1f} s", flush=True)
    return f"{command!r} ended with code {code}" if code else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    known = [PYTHON, *languages()]
    parser = argparse.ArgumentParser(
        prog="python -m clients.run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        description="Builds the clients, and runs their own tests and the conformance cases.\nA "
        "language whose toolchain is missing is skipped with the reason.",
    )
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=f"of {', '.join(known)}")
    parser.add_argument("--step", action="append", choices=STEPS, help="only this one; repeatable")
    parser.add_argument(
        "--case",
        default="*",
        metavar="PATTERN",
        help="only the cases of this name, such as 'watch_*'",
    )
    given = parser.parse_args(arguments)
    for language in given.languages:
        if language not in known:
            parser.error(f"no client is called {language!r}; known: {', '.join(known)}")
    steps = [step for step in STEPS if step in (given.step or STEPS)]
    try:
        report = run(given.languages or known, steps, chosen_cases(given.case))
    except BlackboxError as error:
        print(error.message, file=sys.stderr)
        return 1
    report.show()
    return report.exit_code(os.environ.get("CLIENTS_REQUIRED", "").split())


if __name__ == "__main__":
    processes.end_on_sigterm()
    sys.exit(main())
