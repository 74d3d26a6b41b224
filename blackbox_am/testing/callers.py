"""What every store must do for callers: their tokens, their claims and their accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain

import pytest

from blackbox_am.core.accounts import Account, Order
from blackbox_am.core.principals import StoredToken
from blackbox_am.core.store import Entry, Store, Summary
from blackbox_am.errors import NotFound, QuotaExceeded, SequenceTaken

Open = Callable[[], Store]

ANN, BOB = Account("ann"), Account("bob")


def entries(*bodies: bytes, kind: str = "x") -> list[Entry]:
    """Events to be written."""
    return [Entry(kind, body) for body in bodies]


class CallersContract:
    """The part of `StoreContract` about callers."""

    @pytest.fixture
    def opened(self) -> Open:
        """Opens the same store each time, empty at first, as several processes would."""
        raise NotImplementedError("override the fixture `opened` with a function that opens yours")

    def test_tokens_are_kept(self, opened: Open) -> None:
        """Tokens are found by their public part, also by other processes, and revoked for good."""
        store, other = opened(), opened()
        assert not store.tokens.exist()
        first = StoredToken("t1", "ann", "runner", "0" * 64, 1.0)
        second = StoredToken("t2", "ann", "reader", "1" * 64, 2.0, expires_at=5.0)
        for token in (second, first):
            store.tokens.add(token)
        assert other.tokens.exist()
        assert other.tokens.known() == [first, second]
        assert other.tokens.find("t2") == second
        assert other.tokens.find("t3") is None
        assert store.tokens.revoke("nobody", 3.0) == []
        assert store.tokens.revoke("t1", 3.0) == ["t1"]
        assert store.tokens.revoke("ann", 4.0) == ["t2"], "a revoked token keeps its time"
        found = [(token.revoked_at, token.state(9.0)) for token in other.tokens.known()]
        assert found == [(3.0, "revoked"), (4.0, "revoked")]
        assert [second.state(4.9), second.state(5.0)] == ["valid", "expired"]

    def test_claims(self, opened: Open) -> None:
        """A study and a group belong to their first creator until they are deleted."""
        store, other = opened(), opened()
        store.append("a", 1, entries(b"1"))
        store.append("b", 1, entries(b"1"), order=Order(ANN))
        with pytest.raises(SequenceTaken):
            other.append("b", 1, entries(b"1"), order=Order(BOB))
        store.groups.append("b", 1, b"x", principal="bob")
        with pytest.raises(SequenceTaken):
            other.groups.append("b", 1, b"x", principal="ann")
        assert other.claims.owner("studies/b") == "ann"
        assert other.claims.owner("groups/b") == "bob"
        assert [s.study_id for s in store.studies(principal="ann")] == ["b"]
        assert [s.principal for s in store.studies()] == ["", "ann"]
        assert store.find("b").principal == "ann"
        assert store.claims.owned("ann", "studies") == ["b"]
        assert store.claims.owned("ann", "groups") == []
        assert [store.claims.count(name, "groups") for name in ("ann", "bob")] == [0, 1]
        store.delete("b")
        store.groups.delete("b")
        assert [other.claims.owner(f"{kind}/b") for kind in ("studies", "groups")] == ["", ""]
        store.append("b", 1, entries(b"1"), order=Order(BOB))
        assert other.claims.owner("studies/b") == "bob"

    def test_own_studies_are_listed(self, opened: Open) -> None:
        """The studies of one caller are listed in order, by state, from any id on."""
        store = opened()
        for number in range(20):
            summary = Summary("running" if number % 3 else "paused", "o", b"s")
            order = Order(BOB if number % 2 else ANN)
            store.append(f"s{number:02}", 1, entries(b"1"), summary=summary, order=order)
        store.groups.append("s00", 1, b"x", principal="ann")
        mine = [found.study_id for found in store.studies(principal="ann")]
        assert mine == [f"s{number:02}" for number in range(0, 20, 2)]
        found = store.studies("s02", limit=2, principal="ann")
        assert [one.study_id for one in found] == ["s04", "s06"]
        assert {one.principal for one in found} == {"ann"}
        found = store.studies(states=["paused"], principal="bob")
        assert [one.study_id for one in found] == ["s03", "s09", "s15"]

    def test_accounts(self, opened: Open) -> None:
        """Bytes are counted for each writer as long as they are stored; rows add up."""
        store, other = opened(), opened()
        for account in (ANN, BOB, ANN):
            digest = store.artifacts.put(b"12345", account)
        assert other.claims.writers(digest) == {"ann", "bob"}
        assert [other.claims.stored_bytes(name) for name in ("ann", "eve")] == [5, 0]
        assert store.artifacts.collect(0.0) == 1
        assert other.claims.writers(digest) == set()
        assert other.claims.stored_bytes("ann") == 0
        for rows in (3, 4):
            store.claims.order(ANN, rows)
        store.claims.give_back("ann", 2)
        assert [other.claims.ordered(name) for name in ("ann", "bob")] == [5, 0]

    def test_an_account_is_not_exceeded(self, opened: Open) -> None:
        """What is refused changes nothing, and what is still left can be used."""
        store = opened()
        small = Account("ann", studies=2, queries=10, stored_bytes=8)
        store.append("a", 1, entries(b"1"), order=Order(small, 6))
        with pytest.raises(QuotaExceeded, match="has 4 of 10 queries left, and this needs 5"):
            store.append("b", 1, entries(b"1"), order=Order(small, 5))
        with pytest.raises(QuotaExceeded):
            store.claims.order(small, 5)
        assert store.claims.ordered("ann") == 6
        with pytest.raises(NotFound):
            store.find("b")
        store.append("b", 1, entries(b"1"), order=Order(small, 4))
        with pytest.raises(QuotaExceeded, match="has 2 of 2 studies"):
            store.append("c", 1, entries(b"1"), order=Order(small))
        store.delete("a")
        store.append("c", 1, entries(b"1"), order=Order(small))
        digest = store.artifacts.put(b"12345", small)
        with pytest.raises(QuotaExceeded, match="has stored 5 of 8 bytes, and this has 4"):
            store.artifacts.put(b"1234", small)
        assert store.artifacts.put(b"12345", small) == digest
        assert store.claims.stored_bytes("ann") == 5
        store.artifacts.put(b"123", small)

    def test_an_account_is_shared_by_all_processes(self, opened: Open) -> None:
        """Of requests at the same time, as many succeed as the account has room for."""
        small = Account("ann", studies=5, queries=50, stored_bytes=50)
        stores = [opened() for _ in range(4)]

        def use(place: int) -> list[str]:
            store, made = stores[place % len(stores)], []
            for number in range(3):
                name = f"s{place}-{number}"
                with suppress(QuotaExceeded):
                    store.append(name, 1, entries(b"1"), order=Order(small, 3))
                    made.append("study")
                with suppress(QuotaExceeded):
                    store.claims.order(small, 5)
                    made.append("rows")
                with suppress(QuotaExceeded):
                    store.artifacts.put(f"{name:>10}".encode(), small)
                    made.append("artifact")
            return made

        with ThreadPoolExecutor(8) as threads:
            done = Counter(chain.from_iterable(threads.map(use, range(8))))
        assert done["study"] == 5, "and room for each was left"
        assert done["artifact"] == 5
        assert stores[0].claims.ordered("ann") == 3 * done["study"] + 5 * done["rows"]
        assert 45 < stores[0].claims.ordered("ann") <= 50, "a smaller remainder than one order"
        assert stores[0].claims.count("ann", "studies") == 5
        assert stores[0].claims.stored_bytes("ann") == 50

    def test_an_artifact_stays_for_its_writers(self, opened: Open) -> None:
        """The deletion of a study takes an artifact from its owner, not from another writer."""
        store = opened()
        artifacts, claims = store.artifacts, store.claims
        for name, account in (("a", ANN), ("b", ANN), ("c", BOB)):
            store.append(name, 1, entries(b"1"), order=Order(account))
        digest = artifacts.put(b"shared", ANN)
        for name in ("a", "b"):
            artifacts.refer(name, "inputs", digest)
        store.delete("a")
        assert claims.writers(digest) == {"ann"}, "another study of the owner refers to it"
        artifacts.put(b"shared", BOB)
        store.delete("b")
        assert claims.writers(digest) == {"bob"}
        artifacts.refer("c", "inputs", digest)
        store.delete("c")
        with pytest.raises(NotFound):
            artifacts.get(digest)
        assert claims.writers(digest) == set()
