"""`blackbox-am store ...`: check, move, compact and migrate a store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blackbox_am.cli.console import err, plain, print_json
from blackbox_am.cli.options import AsJson
from blackbox_am.errors import NotFound

if TYPE_CHECKING:
    from blackbox_am.stores import SQLStore
    from blackbox_am.stores.moving import Moved

app = typer.Typer(
    no_args_is_help=True,
    help="Check, export, import, compact and migrate a store on this machine or in PostgreSQL.\n\n"
    "A store has the journals of studies: the SQLite file of `blackbox-am serve --store` or of "
    "`run --store`, or the URL of a PostgreSQL database.",
)

DAMAGED = 5
"""Exit code of a store with faults, as of other errors of a store."""

StoreArgument = Annotated[
    str, typer.Argument(metavar="STORE", help="SQLite file, or postgresql://user@host/name.")
]


@app.command()
def check(store: StoreArgument, as_json: AsJson = False) -> None:
    """Read everything in a store, and say what is damaged. Nothing is changed.

    For each study: every event is read, the numbers of the events have no gap, the journal folds to
    the state that the index shows, and snapshots are not newer than the journal. For large values:
    the content has its digest. Rows that belong to no study are counted. Exit code 0: no faults; 5:
    faults, one on each line.

    Servers may use the store meanwhile.

        blackbox-am store check blackbox_am.sqlite3
    """
    from blackbox_am.studies.checking import check_store

    with _opened(store) as opened:
        found = check_store(opened)
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        for fault in found.faults:
            plain(f"{fault.where}: {fault.what}")
        plain(
            f"{found.studies} studies, {found.groups} groups, {found.artifacts} artifacts: "
            + (f"{len(found.faults)} faults" if found.faults else "no faults")
        )
    if found.faults:
        raise typer.Exit(DAMAGED)


@app.command()
def export(
    store: StoreArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file, such as studies.zip.")],
    study: Annotated[
        list[str] | None,
        typer.Option("--study", "-s", metavar="STUDY", help="Id of a study; else all of them."),
    ] = None,
) -> None:
    """Write studies with their journals into one portable file.

    The file is a zip of lines of JSON and large values, with the SHA-256 of each. It has everything
    with which a study continues, to the last bit as it would have in this store. Tokens of callers
    stay in the store. Without --study the file has all studies and groups: a backup that does not
    depend on the database. Servers may use the store meanwhile; the file shows one moment.

        blackbox-am store export blackbox_am.sqlite3 backup.zip

        blackbox-am store export blackbox_am.sqlite3 edges.zip --study edges
    """
    from blackbox_am.stores.moving import export as write

    with _opened(store) as opened:
        moved = write(opened, file, study or ())
    plain(f"wrote {_counts(moved)} to {file}, {_bytes(file.stat().st_size)}")


@app.command("import")
def import_(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE", help="SQLite file, which may be new, or postgresql://user@host/name."
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `store export` wrote.")],
) -> None:
    """Read the studies of a portable file into a store, all of them or none.

    From SQLite into PostgreSQL or back, or onto another machine. A study continues as it would have
    in its first store; run it in one of them only. A study that the store has already is skipped if
    it is the same or further on; another study of the same id is refused.

        blackbox-am store import postgresql://bam@db/studies backup.zip
    """
    from blackbox_am.stores import SQLStore, archives
    from blackbox_am.stores.moving import load

    with archives.reading(file):  # before a store is made for it
        pass
    opened = SQLStore(store)
    try:
        moved = load(opened, file)
    finally:
        opened.close()
    plain(f"read {_counts(moved)} from {file}")
    if moved.present:
        plain(f"the store had already: {', '.join(moved.present)}")


@app.command()
def compact(store: StoreArgument) -> None:
    """Remove what no study needs, and give the room back to the disk.

    Removes snapshots of cancelled studies, rows of studies that do not exist, and large values that
    no study has referred to for a day. Journals stay whole. A SQLite file is then rewritten, for
    which the disk needs as much room again, and servers wait meanwhile; in PostgreSQL the room is
    given back to the tables.

        blackbox-am store compact blackbox_am.sqlite3
    """
    from blackbox_am.stores.compacting import compact as tidy

    with _opened(store) as opened:
        done = tidy(opened)
    plain(
        f"removed {done.snapshots} snapshots, {done.orphans} rows without a study and "
        f"{done.artifacts} artifacts"
    )
    plain(f"{_bytes(done.before)} before, {_bytes(done.after)} after")


@app.command()
def migrate(
    store: StoreArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
) -> None:
    """Bring a store of an older version of blackbox_am to the present version.

    Stop the servers that use the store first: they cannot read it afterwards. The migration is one
    transaction: it happens completely or not at all. There is no way back, so keep a copy of the
    file.

        blackbox-am store migrate blackbox_am.sqlite3 --dry-run
    """
    from blackbox_am.stores.migrating import migrate as upgrade
    from blackbox_am.stores.migrating import pending

    _check_exists(store)
    steps = pending(store)
    if not steps:
        plain("the store has the present version; nothing to do")
        return
    for step in steps:
        plain(step)
    if dry_run:
        err.print("nothing was changed", markup=False, highlight=False)
        return
    upgrade(store)
    plain("migrated")


@contextmanager
def _opened(store: str) -> Iterator[SQLStore]:
    """An existing store."""
    from blackbox_am.stores import SQLStore

    _check_exists(store)
    opened = SQLStore(store)
    try:
        yield opened
    finally:
        opened.close()


def _check_exists(store: str) -> None:
    from blackbox_am.stores.engines import file_of, url_of

    file = file_of(url_of(store))
    if file is not None and not file.path.exists():
        raise NotFound(f"there is no store {file.path}; name the file of an existing store")


def _counts(moved: Moved) -> str:
    return (
        f"{len(moved.studies)} studies, {len(moved.groups)} groups and {moved.artifacts} artifacts"
    )


def _bytes(number: int) -> str:
    return f"{number:,} bytes"
