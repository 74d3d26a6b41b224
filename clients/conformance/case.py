"""Cases: steps with expected answers, read from `cases/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec

from blackbox_am.core.explaining import explain
from blackbox_am.errors import InvalidSpec, NotFound, did_you_mean

FOLDER = Path(__file__).parent / "cases"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"arguments": "with"}):
    """One request to the driver, or one deed of the runner.

    Attributes:
        do: a verb of the protocol; or of the runner, with a dot, see `deeds.py`.
        arguments: `with` in the file. `$name` stands for a value, see `Runner`.
        expect: what the answer contains, see `matching.mismatch`.
        error: that the answer is an error, and what it contains.
        save: a name for the answer.
        within_s: the step is repeated for so long, until the answer is as expected.
        timeout_s: how long the driver may take.
        start: the answer is not waited for; the step `collect` with `of` = `save` fetches it.
        by: `driver`, or `python` for a second client, that of Python.
    """

    do: str
    arguments: dict[str, Any] = {}
    expect: Any = None
    error: dict[str, Any] | None = None
    save: str = ""
    within_s: float = 0.0
    timeout_s: float = 60.0
    start: bool = False
    by: str = "driver"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case.

    Attributes:
        name: of the case.
        about: what it shows.
        steps: in order.
        server: which server the driver is connected to before the first step, see
            `Servers.address`; empty: to none.
        connect: further arguments of this `connect`.
        same: names of saved answers that are the same, to the last bit, if the Python client goes
            through the case.
    """

    name: str
    about: str
    steps: tuple[Step, ...]
    server: str = "main"
    connect: dict[str, Any] = {}
    same: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: tuple[Case, ...]


def cases() -> list[Case]:
    """All cases, in the order of the files.

    Raises:
        InvalidSpec: for a file that is no list of cases, with its name and the field.
    """
    return [case for path in sorted(FOLDER.glob("*.toml")) for case in _read(path)]


def chosen_cases(pattern: str) -> list[Case]:
    """The cases whose names fit the pattern, such as `watch_*`.

    Raises:
        NotFound: if there is none, with the names that are similar.
    """
    known = cases()
    found = [case for case in known if fnmatch(case.name, pattern)]
    if not found:
        near = did_you_mean(pattern.strip("*"), [case.name for case in known])
        raise NotFound(f"--case: no conformance case fits {pattern!r}{near}")
    return found


def _read(path: Path) -> Iterator[Case]:
    plain = tomllib.loads(path.read_text("utf-8"))
    try:
        yield from msgspec.convert(plain, _File).case
    except msgspec.ValidationError as error:
        sentence, field = explain(_File, plain, str(error))
        raise InvalidSpec(f"{path.name}: {sentence}", field=field) from error
