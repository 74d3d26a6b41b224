"""Goes through the steps of a case with a driver."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_am.errors import did_you_mean
from clients.conformance import tls
from clients.conformance.case import Case, Step
from clients.conformance.deeds import deed
from clients.conformance.driver import Driver, DriverLost
from clients.conformance.drivers import encoding
from clients.conformance.fixtures import Servers
from clients.conformance.matching import mismatch

Plain = dict[str, Any]

PAUSE_SECONDS = 0.2
"""Seconds between two attempts of a step with `within_s`."""


class Failed(Exception):
    """An answer was not as expected."""


class Runner:
    """One driver on its way through one case.

    A text that begins with `$` in the arguments and expectations of a step stands for a value:
    `$study` and `$other` (ids that no other case has), `$client` (a client's name), `$server.NAME`
    (the address of a server), `$token.ROLE` (of the server `secured`), a word of
    `tls.WORDS`; otherwise a saved answer and the way
    into it, such as `$asked.candidate_ids.0`. A table `{"$tensor": {dtype, shape}}` is a tensor of
    numbers that depend on their position.

    Args:
        servers: the servers of the run.
        drivers: `driver`, and `python` where the case needs a second client.
        case: the case.
    """

    def __init__(self, servers: Servers, drivers: dict[str, Driver], case: Case) -> None:
        self._servers = servers
        self._drivers = drivers
        self._case = case
        self._pending: dict[str, tuple[Driver, int]] = {}
        name = case.name.replace("_", "-")[:40]
        self._values: dict[str, Any] = {
            word: f"{name}-{word[0]}{secrets.token_hex(4)}" for word in ("study", "other", "client")
        }
        self.saved: dict[str, Plain] = {}

    def run(self) -> None:
        """Goes through all steps.

        Raises:
            Failed: at the first answer that is not as expected.
            DriverLost: if the driver does not answer.
        """
        if self._case.server:
            target = {"target": f"$server.{self._case.server}", "timeout_s": 30.0}
            self._step(Step("connect", {**target, **self._case.connect}))
        for number, step in enumerate(self._case.steps, 1):
            try:
                self._step(step)
            except (Failed, DriverLost) as error:
                raise type(error)(f"step {number} ({step.do}): {error}") from None

    def _step(self, step: Step) -> None:
        deadline = time.monotonic() + step.within_s
        while True:
            answer = self._answer(step)
            if answer is None:
                return
            problem = self._problem(step, answer)
            if not problem:
                break
            if time.monotonic() > deadline:
                raise Failed(problem)
            time.sleep(PAUSE_SECONDS)
        if step.save:
            self.saved[step.save] = answer.get("ok", answer)

    def _answer(self, step: Step) -> Plain | None:
        """The answer; None if the step is only started."""
        arguments = self._filled(step.arguments)
        if step.do == "collect":
            driver, number = self._pending[arguments["of"]]
            return driver.collect(number, step.timeout_s)
        if "." in step.do:
            return deed(self._servers, step.do, arguments)
        driver = self._drivers[step.by]
        number = driver.send(step.do, arguments)
        if step.start:
            self._pending[step.save] = driver, number
            return None
        return driver.collect(number, step.timeout_s)

    def _problem(self, step: Step, answer: Plain) -> str:
        if step.error is not None:
            if "error" not in answer:
                return f"expected the error {step.error}, got the answer {str(answer['ok'])[:200]}"
            return mismatch(self._filled(step.error), answer["error"], "error")
        if "error" in answer:
            return f"got the error {answer['error']}"
        return mismatch(self._filled(step.expect), answer["ok"]) if step.expect is not None else ""

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("$"):
            return self._value(value[1:].split("."))
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if isinstance(value, dict):
            if "$tensor" in value:
                return encoding.tensor(pattern(**value["$tensor"]))
            return {key: self._filled(one) for key, one in value.items()}
        return value

    def _value(self, path: list[str]) -> Any:
        match path:
            case ["server", name]:
                return self._servers.address(name)
            case ["token", role]:
                return self._servers.token(role)
            case [word] if word in tls.WORDS:
                return str(tls.file(word))
        known = {**self.saved, **self._values}
        if path[0] not in known:
            raise Failed(
                f"the case is wrong: ${path[0]} has no value{did_you_mean(path[0], known)}"
            )
        found: Any = known[path[0]]
        for step in path[1:]:
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (LookupError, TypeError, ValueError):
                raise Failed(
                    f"the answer ${path[0]} has no ${'.'.join(path)}: {found!r:.200}"
                ) from None
        return found


def pattern(dtype: str, shape: list[int], scale: float = 1.0) -> Any:
    """An array whose numbers depend on their position: (37 i mod 256) + 1, of 256 for floats."""
    count = int(np.prod(shape))
    numbers = np.arange(count) * 37 % 256
    if dtype == "uint8":
        return numbers.astype(np.uint8).reshape(shape)
    return ((numbers + 1) / 256 * scale).astype(dtype).reshape(shape)


def python_driver() -> tuple[str, Path]:
    """The command and the folder of the driver of the Python client."""
    import sys

    return f"{sys.executable} -m clients.conformance.drivers.python", Path(__file__).parents[2]
