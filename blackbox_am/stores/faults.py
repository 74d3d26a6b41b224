"""Messages for the faults of a database: what happened, and what to do."""

from __future__ import annotations

from sqlalchemy import exc

from blackbox_am.errors import StoreCorrupt, StoreError

CURE = "restore the store from a backup, or delete the study"
_FAULTS: tuple[tuple[tuple[str, ...], type[StoreError], str], ...] = (
    (
        ("not a database", "malformed", "file is encrypted"),
        StoreCorrupt,
        (
            "{url} is not a store of blackbox_am, or it is damaged ({text}); name another file, or "
            "restore it from a backup"
        ),
    ),
    (
        ("no such column", "no such table", "UndefinedTable", "UndefinedColumn"),
        StoreCorrupt,
        (
            "{url} is a store of another version of blackbox_am ({text}); name another store for "
            "new studies, or use the version that wrote it"
        ),
    ),
    (
        ("readonly", "unable to open", "ReadOnlySqlTransaction", "InsufficientPrivilege"),
        StoreError,
        (
            "cannot write the store {url} ({text}); check the permissions of the file and of its "
            "folder, or of the database's user"
        ),
    ),
    (
        ("full", "disk I/O", "DiskFull"),
        StoreError,
        (
            "the store {url} could not be written ({text}); see that its disk has room and is "
            "sound. What was told before is kept; what is refused now may be sent again"
        ),
    ),
    (
        ("LockNotAvailable", "database is locked"),
        StoreError,
        (
            "the store {url} is kept by another process that writes for a long time ({text}); try "
            "again"
        ),
    ),
    (
        ("IdleInTransactionSessionTimeout",),
        StoreError,
        (
            "the store {url} ended a transaction because this process stood still during it "
            "({text}); nothing of it was written, and it may be sent again"
        ),
    ),
    (
        ("connection failed", "AdminShutdown", "connection is closed", "connection to server"),
        StoreError,
        (
            "the database {url} cannot be reached ({text}); see that it runs, and that user, "
            "password and name are right. What was told before is kept; what is refused now may be "
            "sent again"
        ),
    ),
)
"""Parts of a database's message or names of its error, the class of our error, and its message."""


def store_error(url: str, error: exc.DatabaseError) -> StoreError:
    """Our error for an error of the database.

    Args:
        url: the database, without a password.
        error: its error.
    """
    text = " ".join(str(error.orig).split())
    known = f"{type(error.orig).__name__} {text}"
    for signs, kind, message in _FAULTS:
        if any(sign in known for sign in signs):
            return kind(message.format(url=url, text=text))
    return StoreError(f"the store {url} failed: {text}")
