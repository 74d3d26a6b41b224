"""`client.toml`: what a client needs, and how it is built, tested and driven."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from blackbox_am.core.explaining import explain
from blackbox_am.errors import InvalidSpec, NotFound, did_you_mean

ROOT = Path(__file__).parent


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The client of one language. Commands are of the shell, and run in its folder.

    Attributes:
        language: name of the folder.
        needs: commands on the PATH, optionally with a least version: `node>=20`.
        check: a command that fails, with one line of reason, where something else is missing.
        build: commands that build it.
        stale: commands that fail where generated code is not that of the protos.
        test: commands that run its own tests.
        driver: its conformance driver; none for a folder without a client, such as the dashboard.
        examples: the programs `ask_tell`, `watch` and `oracle`, before their arguments.
        bench: its bench program.
    """

    language: str = ""
    needs: tuple[str, ...] = ()
    check: str = ""
    build: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    driver: str = ""
    examples: dict[str, str] = {}
    bench: str = ""

    @property
    def folder(self) -> Path:
        """Where its commands run."""
        return ROOT / self.language


def languages() -> list[str]:
    """The languages with a client, in alphabetical order."""
    return sorted(path.parent.name for path in ROOT.glob("*/client.toml"))


def client_of(language: str) -> Client:
    """The client of a language.

    Raises:
        NotFound: for another language.
        InvalidSpec: for a `client.toml` with a wrong field.
    """
    path = ROOT / language / "client.toml"
    if not path.is_file():
        near = did_you_mean(language, languages())
        raise NotFound(f"there is no client for {language!r}{near}")
    plain = {**tomllib.loads(path.read_text("utf-8")), "language": language}
    try:
        return msgspec.convert(plain, Client)
    except msgspec.ValidationError as error:
        sentence, field = explain(Client, plain, str(error))
        raise InvalidSpec(f"{path.name} of {language}: {sentence}", field=field) from error
