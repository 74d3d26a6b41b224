"""Commands that are imported when they are called, so that others do not wait for them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand

from blackbox_am.cli.failures import Group


@dataclass(frozen=True)
class Entry:
    """A command, or a group of commands, of a module that is not imported yet.

    Attributes:
        place: module and name of a function or of a `typer.Typer`, as `package.module:name`.
        summary: the first sentence of its help, which the list of commands shows.
        hidden: whether the list leaves it out.
    """

    place: str
    summary: str
    hidden: bool = False

    def load(self, name: str) -> Any:
        """Imports the command and makes it, with the name that it has on the command line."""
        module, _, attribute = self.place.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        around = typer.Typer(
            cls=Group,
            add_completion=False,
            rich_markup_mode="markdown",
            pretty_exceptions_enable=False,
        )
        around.callback()(_nothing)
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=name, cls=Group)
        else:
            around.command(name, hidden=self.hidden)(found)
        return typer.main.get_group(around).commands[name]


class LazyGroup(Group):
    """A group whose commands are imported when they are called. Its help shows their summaries.

    Attributes:
        entries: the commands by their names, in the order in which the help shows them.
    """

    entries: ClassVar[dict[str, Entry]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, entry in self.entries.items():
            self.commands[name] = TyperCommand(name, help=entry.summary, hidden=entry.hidden)
        self._loaded: set[str] = set()

    def loaded(self, name: str) -> Any:
        """The command with this name, imported."""
        if name in self.entries and name not in self._loaded:
            self.commands[name] = self.entries[name].load(name)
            self._loaded.add(name)
        return self.commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names, imported."""
        if args and args[0] in self.commands:
            self.loaded(args[0])
        return super().resolve_command(ctx, args)


def _nothing() -> None:
    pass
