"""Builds and tests the clients: `python -m clients.run [LANGUAGE ...]`, or `make clients-test`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from blackbox_am.errors import BlackboxError
from clients.client_toml import Client, client_of, languages
from clients.conformance.case import cases
from clients.conformance.run import conformance, environment
from clients.conformance.runner import python_driver
from clients.toolchains import lacking

PYTHON = "python"
STEPS = ("build", "stale", "test", "conformance")


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


def run(chosen: Sequence[str], steps: Sequence[str], pattern: str) -> Report:
    """Builds and tests clients.

    Args:
        chosen: the languages.
        steps: of `STEPS`.
        pattern: of the names of conformance cases.
    """
    report = Report()
    for language in chosen:
        print(f"\n{language}", flush=True)
        if language == PYTHON:
            problem = _python(steps, pattern)
        else:
            client = client_of(language)
            reason = lacking(client, {**os.environ, **environment()})
            if reason:
                print(f"skipped: {reason}", flush=True)
                report.skipped[language] = reason
                continue
            problem = _client(client, steps, pattern)
        if problem:
            report.failed[language] = problem
        else:
            report.passed.append(language)
    return report


def _client(client: Client, steps: Sequence[str], pattern: str) -> str:
    """Goes through the steps of a client. Returns what failed; empty where nothing did."""
    for step in steps:
        if step == "conformance":
            if not client.driver:
                continue
            failing = conformance(client.language, client.driver, client.folder, cases(pattern))
            if failing:
                return f"cases {', '.join(failing)}"
            continue
        for command in getattr(client, step):
            started = time.monotonic()
            print(f"  $ {command}", flush=True)
            code = subprocess.run(  # noqa: S602  # a command of a client.toml
                command, shell=True, cwd=client.folder, env={**os.environ, **environment()}
            ).returncode
            print(f"  {time.monotonic() - started:.1f} s", flush=True)
            if code:
                return f"{step}: {command!r} ended with code {code}"
    return ""


def _python(steps: Sequence[str], pattern: str) -> str:
    if "conformance" not in steps:
        return ""
    failing = conformance(PYTHON, *python_driver(), cases(pattern))
    return f"cases {', '.join(failing)}" if failing else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    known = [PYTHON, *languages()]
    parser = argparse.ArgumentParser(
        prog="python -m clients.run",
        description="Builds the clients, and runs their own tests and the conformance cases. A "
        "language whose toolchain is missing is skipped, except those in the variable "
        "CLIENTS_REQUIRED.",
    )
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=f"of {', '.join(known)}")
    parser.add_argument("--step", action="append", choices=STEPS, help="only this step; repeatable")
    parser.add_argument("--case", default="*", metavar="PATTERN", help="of conformance cases")
    given = parser.parse_args(arguments)
    for language in given.languages:
        if language not in known:
            parser.error(f"no client is called {language!r}; known: {', '.join(known)}")
    steps = [step for step in STEPS if step in (given.step or STEPS)]
    try:
        report = run(given.languages or known, steps, given.case)
    except BlackboxError as error:
        print(error.message, file=sys.stderr)
        return 1
    report.show()
    return report.exit_code(os.environ.get("CLIENTS_REQUIRED", "").split())


if __name__ == "__main__":
    sys.exit(main())
