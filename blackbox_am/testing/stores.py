"""What every store must do. Subclass `StoreContract` and say how yours is opened."""

from __future__ import annotations

import time

import pytest

from blackbox_am.core.leases import Answer, Lease
from blackbox_am.core.store import Entry, Folded, Note, Record, StoredSnapshot, Summary
from blackbox_am.errors import InvalidInput, NotFound, NotOwner, SequenceTaken
from blackbox_am.testing.callers import CallersContract, Open, entries

LONG = 60.0
"""Seconds of a lease that does not run out during a test."""


class StoreContract(CallersContract):
    """Override the fixture `opened`; the tests are inherited."""

    def test_journal_keeps_order(self, opened: Open) -> None:
        """Events are read back as they were written, all of them or those of one kind."""
        store = opened()
        store.append("a", 1, entries(b"one"))
        store.append("a", 2, [Entry("y", b"two"), Entry("x", b"three")])
        found = [(record.sequence, record.body) for record in store.read("a")]
        assert found == [(1, b"one"), (2, b"two"), (3, b"three")], found
        assert _sequences(store.read("a", after=1)) == [2, 3]
        assert _sequences(store.read("a", limit=2)) == [1, 2]
        assert _sequences(store.read("a", kind="x")) == [1, 3]
        assert _sequences(store.read("a", after=1, limit=1, kind="x")) == [3]
        assert store.read("a", after=3) == []

    def test_journal_is_read_at_places(self, opened: Open) -> None:
        """Events are found by their kinds, and read by their numbers."""
        store = opened()
        kinds = ["x", "y", "x", "z"] * 300
        store.append("a", 1, [Entry(kind, b"%d" % place) for place, kind in enumerate(kinds, 1)])
        assert store.places("a", ["y", "z"])[:4] == [2, 4, 6, 8]
        assert store.places("a", ["x"], excluded=True) == store.places("a", ["y", "z"])
        odd = store.places("a", ["x"])
        found = store.read_at("a", [*reversed(odd), 5000])
        assert [(record.sequence, record.body) for record in found] == [
            (place, b"%d" % place) for place in odd
        ]
        assert not store.places("a", ["w"])
        assert not store.read_at("a", [])
        with pytest.raises(NotFound):
            store.places("b", ["x"])

    def test_journal_has_no_gap(self, opened: Open) -> None:
        """An event goes to the place after the last one; nothing is half written."""
        store = opened()
        store.append("a", 1, entries(b"1", b"2"))
        for sequence in (1, 2, 4):
            with pytest.raises(SequenceTaken):
                store.append("a", sequence, entries(b"x"), snapshot=StoredSnapshot(1, 1, b"s"))
        assert _sequences(store.read("a")) == [1, 2]
        assert store.load_snapshot("a") is None

    def test_snapshot_is_the_last(self, opened: Open) -> None:
        """The last snapshot is kept, with its study."""
        store = opened()
        store.append("a", 1, entries(b"1"), snapshot=StoredSnapshot(0, 1, b"old", b"study"))
        last = StoredSnapshot(5, 2, b"new", b"later")
        store.append("a", 2, entries(b"2"), snapshot=last)
        assert store.load_snapshot("a") == last

    def test_lease_has_one_holder(self, opened: Open) -> None:
        """A lease has one holder until it is given back or runs out; each has a greater token."""
        store = opened()
        first = store.leases.take("a", "p", "process p", LONG)
        assert store.leases.take("a", "p", "process p", LONG) == first, (
            "taking again changes nothing"
        )
        with pytest.raises(NotOwner, match="process p") as refused:
            store.leases.take("a", "q", "process q", LONG)
        assert 0 < (refused.value.retry_after or 0) <= LONG
        assert store.leases.owner_name("a") == "process p"
        store.leases.release(first, b"for the next")
        assert store.leases.owner_name("a") == ""
        second = store.leases.take("a", "q", "process q", 0.05)
        assert second.token > first.token
        assert second.held == b"for the next"
        store.leases.release(first)
        assert store.leases.owner_name("a") == "process q", "only its holder gives a lease back"
        time.sleep(0.1)
        third = store.leases.take("a", "p", "process p", LONG)
        assert third.token > second.token
        assert third.held == b"", "its holder did not give it back"

    def test_lease_is_renewed(self, opened: Open) -> None:
        """One call renews all leases of an owner, and tells which ones it still holds."""
        store = opened()
        mine = {name: store.leases.take(name, "p", "p", 0.3) for name in ("a", "b")}
        other = store.leases.take("c", "q", "q", 0.3)
        for _ in range(4):
            time.sleep(0.1)
            assert store.leases.renew("p", 0.3) == {
                name: lease.token for name, lease in mine.items()
            }
        assert store.leases.take("c", "p", "p", LONG).token > other.token, "nobody renewed it"
        assert store.leases.renew("q", LONG) == {}

    def test_append_is_fenced(self, opened: Open) -> None:
        """Only the holder of the lease writes; its former holder not even notes."""
        store, other = opened(), opened()
        old = store.leases.take("a", "p", "process p", 0.05)
        store.append("a", 1, entries(b"1"), token=old.token)
        time.sleep(0.1)
        store.append("a", 2, entries(b"2"), token=old.token)  # nobody else has taken it
        new = other.leases.take("a", "q", "process q", LONG)
        with pytest.raises(NotOwner, match="process q"):
            store.append("a", 3, entries(b"late"), token=old.token)
        with pytest.raises(NotOwner):
            store.note("a", old.token, b"late")
        with pytest.raises(NotOwner, match="process q"):
            store.append("a", 3, entries(b"without a lease"))
        other.append("a", 3, entries(b"3"), token=new.token)
        other.note("a", new.token, b"noted")
        other.leases.release(new)
        with pytest.raises(NotOwner):
            other.append("a", 4, entries(b"given back"), token=new.token)
        store.append("a", 4, entries(b"nobody holds it"))
        assert _sequences(store.read("a")) == [1, 2, 3, 4]
        assert store.notes("a") == [Note(new.token, b"noted")]

    def test_lease_is_not_inherited(self, opened: Open) -> None:
        """A study that is deleted and begun again has nothing of the first one's."""
        store = opened()
        old = store.leases.take("a", "p", "p", LONG)
        store.append("a", 1, entries(b"1"), token=old.token, summary=Summary("running", "o", b"s"))
        store.note("a", old.token, b"old")
        store.delete("a")
        new = store.leases.take("a", "q", "q", LONG)
        assert new.token > old.token
        store.append("a", 1, entries(b"1"), token=new.token)
        assert store.notes("a") == []
        with pytest.raises(NotOwner):
            store.append("a", 2, entries(b"2"), token=old.token)

    def test_notes_are_the_last(self, opened: Open) -> None:
        """The last note under each lease is kept."""
        store = opened()
        leases = list[Lease]()
        for owner in ("p", "q"):
            lease = store.leases.take("a", owner, owner, LONG)
            if owner == "p":
                store.append("a", 1, entries(b"1"), token=lease.token)
            store.note("a", lease.token, b"first")
            store.note("a", lease.token, owner.encode())
            store.leases.release(lease)
            leases.append(lease)
        assert store.notes("a") == [Note(leases[0].token, b"p"), Note(leases[1].token, b"q")]

    def test_index_tells_the_last_summary(self, opened: Open) -> None:
        """The index has what came with the last append, and its place in the journal."""
        store = opened()
        store.append("a", 1, entries(b"created"), summary=Summary("pending", "o", b"1", b"folded"))
        store.append("a", 2, entries(b"2"), summary=Summary("running", "o", b"2"))
        found = opened().find("a")
        assert (found.sequence, found.state, found.body) == (2, "running", b"2"), found
        assert found.created == b"created"
        assert found.created_at == store.read("a", limit=1)[0].time
        assert store.folded("a") == Folded(1, b"folded"), "kept where none came with the append"
        store.append("a", 3, entries(b"3"), summary=Summary("succeeded", "o", b"3", b"whole"))
        assert store.folded("a") == Folded(3, b"whole")
        with pytest.raises(NotFound):
            store.find("b")

    def test_index_lists(self, opened: Open) -> None:
        """Studies are listed by id, by state, and by whether somebody runs them."""
        store = opened()
        states = {"b": "running", "a": "pending", "c": "succeeded", "d": "running"}
        for name, state in states.items():
            oracle = "" if name == "d" else "o"
            store.append(name, 1, entries(b"1"), summary=Summary(state, oracle, b"s"))
        assert [s.study_id for s in store.studies()] == ["a", "b", "c", "d"]
        assert [s.study_id for s in store.studies(after="a", limit=2)] == ["b", "c"]
        assert [s.study_id for s in store.studies(states=["running"])] == ["b", "d"]
        waiting = ["pending", "running"]
        assert store.leases.free(waiting) == ["b", "a"], (
            "the oldest first, and none of clients alone"
        )
        lease = store.leases.take("b", "p", "process p", LONG)
        assert store.leases.free(waiting) == ["a"]
        assert [s.owner for s in store.studies(after="a")] == ["process p", "", ""]
        store.leases.release(lease)
        store.delete("a")
        assert [s.study_id for s in store.studies()] == ["b", "c", "d"]
        for forgotten in (store.read, store.delete, store.find):
            with pytest.raises(NotFound, match="'a'"):
                forgotten("a")
        assert store.load_snapshot("a") is None
        assert store.folded("a") is None

    def test_calls_reach_the_owner(self, opened: Open) -> None:
        """A call waits for the owner of its study, and its answer for the caller, once."""
        store, other = opened(), opened()
        store.append("a", 1, entries(b"1"))
        other.leases.take("a", "q", "q", LONG)
        call_id = store.calls.ask("a", "Pause", b"request")
        assert store.calls.answered(call_id) is None
        assert other.calls.waiting("p") == []
        (call,) = other.calls.waiting("q")
        assert (call.call_id, call.study_id, call.method) == (call_id, "a", "Pause")
        assert call.request == b"request"
        other.calls.answer(call_id, Answer(b"response"))
        assert other.calls.waiting("q") == []
        assert store.calls.answered(call_id) == Answer(b"response")
        assert store.calls.answered(call_id) is None
        given_up = store.calls.ask("a", "Pause", b"request")
        store.calls.forget(given_up)
        other.calls.answer(given_up, Answer(b"", b"error"))
        assert other.calls.waiting("q") == []

    def test_artifacts_are_kept_once(self, opened: Open) -> None:
        """A value is known by the digest of its content, and is read from any offset."""
        artifacts = opened().artifacts
        value = bytes(range(256)) * 9000  # more than two pieces of 1 MiB
        digest = artifacts.put(value)
        assert artifacts.put(value[i : i + 70_000] for i in range(0, len(value), 70_000)) == digest
        assert artifacts.size(digest) == len(value)
        other = opened().artifacts
        assert other.get(digest) == value
        for offset, limit in ((0, 10), (2**20 - 5, 10), (2**20, None), (len(value), 5), (7, 0)):
            end = None if limit is None else offset + limit
            assert other.get(digest, offset, limit) == value[offset:end], (offset, limit)
        empty = artifacts.put(b"")
        assert empty != digest
        assert (artifacts.size(empty), artifacts.get(empty)) == (0, b"")
        for offset, limit in ((-1, 1), (len(value) + 1, 1), (0, -1)):
            with pytest.raises(InvalidInput, match="offset"):
                artifacts.get(digest, offset, limit)
        for missing in (artifacts.get, artifacts.size):
            with pytest.raises(NotFound, match="write the artifact first"):
                missing("0" * 64)

    def test_artifacts_are_referred_to_from_the_first_event(self, opened: Open) -> None:
        """A value that was written again stays for the study that is about to refer to it."""
        store, other = opened(), opened()
        digest = store.artifacts.put(b"shared")
        store.append("a", 1, entries(b"1"), references={"inputs": digest})
        assert store.artifacts.of_study("a") == {"inputs": digest}
        assert other.artifacts.put(b"shared") == digest
        store.delete("a")
        other.append("b", 1, entries(b"1"), references={"inputs": digest})
        assert store.artifacts.get(digest) == b"shared"
        store.delete("b")
        with pytest.raises(NotFound):
            store.artifacts.get(digest)
        with pytest.raises(NotFound):
            store.append("c", 1, entries(b"1"), references={"inputs": digest})
        with pytest.raises(NotFound):
            store.find("c")

    def test_artifacts_go_with_their_studies(self, opened: Open) -> None:
        """A value to which a study refers stays; without one it is collected once it is old."""
        store = opened()
        artifacts = store.artifacts
        for name in ("a", "b"):
            store.append(name, 1, entries(b"1"))
        shared, own, loose = (artifacts.put(body) for body in (b"shared", b"own", b"loose"))
        artifacts.refer("a", "inputs", shared)
        artifacts.refer("a", "codes", own)
        artifacts.refer("b", "inputs", shared)
        with pytest.raises(NotFound):
            artifacts.refer("b", "codes", "0" * 64)
        assert artifacts.of_study("a") == {"inputs": shared, "codes": own}
        assert artifacts.collect() == 0, "none is old"
        time.sleep(0.01)
        assert artifacts.collect(seconds=0.0) == 1
        with pytest.raises(NotFound):
            artifacts.get(loose)
        store.delete("a")
        assert artifacts.of_study("a") == {}
        assert artifacts.get(shared) == b"shared"
        with pytest.raises(NotFound):
            artifacts.get(own)
        store.delete("b")
        with pytest.raises(NotFound):
            artifacts.get(shared)

    def test_requests_are_bound_once(self, opened: Open) -> None:
        """A create request belongs to the study it was bound to first."""
        store = opened()
        assert store.remember_request("r1", "a") == "a"
        assert store.remember_request("r1", "b") == "a"
        store.append("a", 1, entries(b"1"))
        assert store.remember_request("r1", "b") == "a"


def _sequences(records: list[Record]) -> list[int]:
    return [record.sequence for record in records]
