"""Sums that survive a restart: how much of a limit is used."""

from __future__ import annotations

from blackbox_am.oracles.wrappers._shared_file import SharedFile

APPLICATION = 0x6262616C  # "bbal"
VERSION = 1

_SUMS = "CREATE TABLE IF NOT EXISTS sums (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"


class Ledger:
    """Whole numbers by name. Safe to use from any thread, and in many processes.

    Args:
        path: of the SQLite file; empty: the sums are kept in memory.

    Raises:
        StoreError: if the file cannot be opened.
        StoreCorrupt: if another program wrote the file.
    """

    def __init__(self, path: str) -> None:
        self._file = SharedFile(path or ":memory:", "ledger", APPLICATION, VERSION, (_SUMS,))

    def add(self, amounts: dict[str, int], limits: dict[str, int]) -> dict[str, int] | None:
        """Adds `amounts` in one transaction if no sum would exceed its limit; else adds nothing.

        Returns:
            None if the amounts were added, else the present sums.
        """
        with self._file.writing() as connection:
            sums = dict.fromkeys(amounts, 0)
            for name in sums:
                row = connection.execute("SELECT value FROM sums WHERE name = ?", (name,))
                sums[name] = (row.fetchone() or (0,))[0]
            if any(sums[name] + amounts[name] > limit for name, limit in limits.items()):
                return sums
            connection.executemany(
                "INSERT OR REPLACE INTO sums VALUES (?, ?)",
                [(name, value + amounts[name]) for name, value in sums.items()],
            )
        return None

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
