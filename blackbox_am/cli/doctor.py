"""`blackbox-am doctor`: what may keep a server from working, and what to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from blackbox_am.cli.console import plain, print_json
from blackbox_am.cli.options import AsJson


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file of `serve`.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", "-a", help="host:port, as for `serve`.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="SQLite file or PostgreSQL URL, as for `serve`.")
    ] = None,
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="Also load each model of the file, or not.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check this machine and a configuration: what may keep a server from working, and what to do.

    Python and its packages, the graphics card, memory, the store and its disk, the addresses, the
    certificate, and every model of the configuration. Nothing is changed. Run it before a server
    starts, or when one does not; while one runs, its address is in use.

    Exit code 0: no faults; 1: a server cannot start or work.

        blackbox-am doctor --config models.toml
    """
    from blackbox_am.service.config import Config, load_config
    from blackbox_am.service.doctor import Level, examine

    base = Config() if config is None else load_config(config)
    given: dict[str, Any] = {"address": address, "store": store}
    chosen = dataclasses.replace(
        base, **{name: value for name, value in given.items() if value is not None}
    )
    found = []
    for finding in examine(chosen, models=models):
        found.append(finding)
        if not as_json:
            plain(f"{finding.level.value:7}  {finding.about}: {finding.what}")
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in found])
    if any(finding.level is Level.FAULT for finding in found):
        raise typer.Exit(1)
