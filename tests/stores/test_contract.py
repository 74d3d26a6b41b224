"""The contract of a store, over a SQLite file that is opened several times, and over memory."""

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
