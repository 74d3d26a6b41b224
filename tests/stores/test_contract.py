"""The contract of a store, over a SQLite file and a PostgreSQL database that are opened several
times, and over memory.
"""

import pytest

from blackbox_am.stores import SQLStore
from blackbox_am.testing.stores import StoreContract


class TestFile(StoreContract):
    @pytest.fixture
    def opened(self, tmp_path):
        made = []

        def again():
            made.append(SQLStore(str(tmp_path / "s.sqlite3")))
            return made[-1]

        yield again
        for store in made:
            store.close()


class TestMemory(StoreContract):
    @pytest.fixture
    def opened(self):
        store = SQLStore(":memory:")
        yield lambda: store
        store.close()


class TestPostgreSQL(StoreContract):
    @pytest.fixture
    def opened(self, empty_url):
        made = []

        def again():
            made.append(SQLStore(empty_url))
            return made[-1]

        yield again
        for store in made:
            store.close()
