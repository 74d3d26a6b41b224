"""A lease whose renewal is late, as on a busy machine."""

import time
from contextlib import closing

import pytest

from blackbox_am.errors import NotOwner, StoreError
from blackbox_am.stores import SQLStore
from blackbox_am.studies.ownership import Owner

SECONDS = 0.05


@pytest.fixture
def store(tmp_path):
    with closing(SQLStore(str(tmp_path / "store.sqlite3"))) as opened:
        yield opened


@pytest.fixture
def late(store):
    """An owner whose thread does not renew in time."""
    with closing(Owner(store, seconds=SECONDS, renew_seconds=600)) as owner:
        yield owner


def test_a_late_owner_goes_on_if_nobody_has_taken_the_study(late):
    held = late.take("s")
    time.sleep(2 * SECONDS)
    assert not held.valid
    held.check()
    assert late.take("s").token == held.token


def test_a_late_owner_stops_if_another_has_taken_the_study(store, late):
    held = late.take("s")
    time.sleep(2 * SECONDS)
    with closing(Owner(store, seconds=60)) as other:
        theirs = other.take("s")
        for _ in range(2):
            with pytest.raises(NotOwner, match="another process may run the study"):
                held.check()
        assert theirs.valid


def test_a_late_owner_stops_if_the_store_is_away(store, late, monkeypatch):
    held = late.take("s")
    time.sleep(2 * SECONDS)

    def away(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store.leases, "renew", away)
    with pytest.raises(NotOwner):
        held.check()
