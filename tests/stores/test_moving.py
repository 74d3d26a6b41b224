"""Export and import of studies: they go on as they would have, whole or not at all."""

import json
import sys
import time
import zipfile
from contextlib import closing

import msgspec
import pytest

from blackbox_am.core.accounts import Account, Order
from blackbox_am.core.spec import Budget, ObjectiveSpec, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.errors import InvalidInput, NotFound, StoreCorrupt, StoreError, StudyExists
from blackbox_am.stores import SQLStore, archives, journal
from blackbox_am.stores.moving import export, load
from blackbox_am.studies.checking import check_store
from blackbox_am.studies.events import GenerationClosed, decode
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.studies.snapshots import SNAPSHOT_GENERATIONS
from tests import forked
from tests.stores.fixtures.write_store import measure

GENERATIONS = SNAPSHOT_GENERATIONS + 6
SPEC = StudySpec(
    targets=tuple(ObjectiveSpec("mean", quantities=(f"s{k}",)) for k in range(2)),
    budget=Budget(queries_per_target=4 * GENERATIONS),
    space=SpaceSpec("normal", 3),
    optimizer=OptimizerSpec("cma", {"population": 4}),
    seed=7,
)


@pytest.fixture
def store(tmp_path):
    """A store with a study after its first snapshot, an artifact of the study, and a group."""
    with closing(SQLStore(str(tmp_path / "first.sqlite3"))) as made:
        order = Order(Account("ann"))
        live = LiveStudy.create(made, "s", resolve(Request(spec=SPEC)).created, order)
        for _ in range(SNAPSHOT_GENERATIONS + 2):
            measure(live)
        made.artifacts.refer("s", "input", made.artifacts.put([b"x" * 2**20, b"yz"]))
        made.groups.append("g", 1, b"a group", principal="ann")
        yield made


def finished(store):
    """What the study measures until its end."""
    live = LiveStudy.recover(store, "s")
    while live.study.state.active:
        measure(live)
    closed = [
        msgspec.structs.replace(event, seconds=0.0)
        for event in (decode(record.body) for record in store.read("s"))
        if isinstance(event, GenerationClosed)
    ]
    return closed, [target.plain() for target in live.study.targets]


def check_continues(store, path, url):
    with closing(SQLStore(url)) as other:
        moved = load(other, path)
        assert (moved.studies, moved.groups, moved.artifacts) == (("s",), ("g",), 1)
        assert check_store(other).faults == ()
        assert other.claims.owner("studies/s") == other.claims.owner("groups/g") == "ann"
        (digest,) = other.artifacts.of_study("s").values()
        assert other.artifacts.get(digest) == b"x" * 2**20 + b"yz"
        assert other.load_snapshot("s") == store.load_snapshot("s")
        closed, targets = finished(other)
        assert len(closed) == GENERATIONS
        assert (closed, targets) == finished(store)


def test_a_study_goes_on_in_another_store_to_the_last_bit(store, tmp_path):
    export(store, tmp_path / "s.zip")
    check_continues(store, tmp_path / "s.zip", str(tmp_path / "second.sqlite3"))


def test_a_study_goes_on_in_postgresql_to_the_last_bit(store, tmp_path, empty_url):
    export(store, tmp_path / "s.zip")
    check_continues(store, tmp_path / "s.zip", empty_url)


def test_an_export_that_compresses_for_long_is_not_ended(store, tmp_path, empty_url, monkeypatch):
    monkeypatch.setattr("blackbox_am.stores.engines.IDLE_SECONDS", 1)
    written = archives.Writer.add

    def slowly(self, name, pieces):
        written(self, name, pieces)
        time.sleep(1.5)

    export(store, tmp_path / "s.zip")
    with closing(SQLStore(empty_url)) as other:
        load(other, tmp_path / "s.zip")
        monkeypatch.setattr(archives.Writer, "add", slowly)
        assert export(other, tmp_path / "again.zip").studies == ("s",)


def test_a_check_does_not_take_growth_for_a_fault(store, monkeypatch):
    live = LiveStudy.recover(store, "s")

    def growing(method):
        def call(*arguments, **options):
            found = method(*arguments, **options)
            measure(live)
            return found

        return call

    for name in ("folded", "find", "read"):
        monkeypatch.setattr(store, name, growing(getattr(store, name)))
    assert check_store(store).faults == ()


def test_the_artifacts_of_an_imported_study_are_its_owners(store, tmp_path):
    export(store, tmp_path / "s.zip")
    with closing(SQLStore(":memory:")) as other:
        load(other, tmp_path / "s.zip")
        (digest,) = other.artifacts.of_study("s").values()
        assert other.claims.writers(digest) == {"ann"}
        other.delete("s")
        assert check_store(other).artifacts == 0, "nobody needs it any more"


def test_one_study_is_exported_alone(store, tmp_path):
    LiveStudy.create(store, "t", resolve(Request(spec=SPEC)).created)
    moved = export(store, tmp_path / "t.zip", ["t"])
    assert (moved.studies, moved.groups, moved.artifacts) == (("t",), (), 0)
    with pytest.raises(NotFound, match="'u'"):
        export(store, tmp_path / "u.zip", ["t", "u"])
    assert not (tmp_path / "u.zip").exists()


def test_an_export_is_on_the_disk_before_it_has_its_name(store, tmp_path, monkeypatch):
    seen = []

    def watched(descriptor):
        seen.append([path.name for path in tmp_path.glob("s.zip*")])

    monkeypatch.setattr("blackbox_am.stores.archives.os.fsync", watched)
    export(store, tmp_path / "s.zip")
    assert seen == [["s.zip.part"]]


def test_nothing_is_overwritten(store, tmp_path):
    export(store, tmp_path / "s.zip")
    with pytest.raises(InvalidInput, match="exists already"):
        export(store, tmp_path / "s.zip")


def test_an_import_can_be_repeated_and_never_mixes_studies(store, tmp_path):
    export(store, tmp_path / "s.zip")
    measure(LiveStudy.recover(store, "s"))
    assert load(store, tmp_path / "s.zip").present == ("s", "g"), "the store is further on"
    with closing(SQLStore(":memory:")) as other:
        changed = msgspec.structs.replace(SPEC, seed=8)
        LiveStudy.create(other, "s", resolve(Request(spec=changed)).created)
        with pytest.raises(StudyExists, match="another study 's'"):
            load(other, tmp_path / "s.zip")


def rewritten(path, change):
    """A copy of a portable file whose files are changed by `change(name, body)`."""
    goal = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(goal, "w") as sink:
        for name in source.namelist():
            sink.writestr(name, change(name, source.read(name)))
    return goal


def version(name, body):
    return body.replace(b'"format": 1', b'"format": 2') if name == "manifest.json" else body


def shortened(name, body):
    return body[:-40] if name == "studies/s.jsonl" else body


def artifact(name, body):
    return body + b"!" if name.startswith("artifacts/") else body


def no_manifest(name, body):
    return b"{}" if name == "manifest.json" else body


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (version, StoreError, "another version .* format 2 .* reads format 1"),
        (shortened, StoreCorrupt, "studies/s.jsonl has changed"),
        (artifact, StoreCorrupt, "artifacts/.* has changed"),
        (no_manifest, StoreCorrupt, "no export of blackbox_am"),
    ],
)
def test_a_damaged_file_is_refused_whole(store, tmp_path, change, kind, told):
    export(store, tmp_path / "s.zip")
    with closing(SQLStore(str(tmp_path / "other.sqlite3"))) as other:
        with pytest.raises(kind, match=told):
            load(other, rewritten(tmp_path / "s.zip", change))
        assert other.studies() == []
        assert other.groups.ids() == []
        assert check_store(other).artifacts == 0


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "letter.zip").write_bytes(b"Dear reader")
    with closing(SQLStore(":memory:")) as store:
        with pytest.raises(StoreCorrupt, match="no export of blackbox_am"):
            load(store, tmp_path / "letter.zip")
        with pytest.raises(NotFound, match="there is no file"):
            load(store, tmp_path / "none.zip")


def test_a_damaged_study_is_not_exported(store, tmp_path):
    with store.database.writing() as connection:
        connection.execute(journal.events.delete().where(journal.events.c.sequence == 3))
    with pytest.raises(StoreCorrupt, match=r"'s' is damaged: .* event 3 is missing"):
        export(store, tmp_path / "s.zip")
    assert list(tmp_path.glob("s.zip*")) == []


FULL = """
import resource, sys
from pathlib import Path
from blackbox_am.errors import StoreError
from blackbox_am.stores import SQLStore
from blackbox_am.stores.moving import export, load
how, source, file, goal = sys.argv[1:]
store = SQLStore(source if how == "export" else goal)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(how == "import") * 2**17 + 1000,) * 2)
try:
    export(store, Path(file)) if how == "export" else load(store, Path(file))
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("how", ["export", "import"])
def test_a_full_disk_leaves_nothing_behind(store, tmp_path, how):
    first, goal = tmp_path / "first.sqlite3", tmp_path / "goal.sqlite3"
    SQLStore(str(goal)).close()
    export(store, tmp_path / "s.zip")
    file = tmp_path / ("new.zip" if how == "export" else "s.zip")
    command = [sys.executable, "-c", FULL, how, str(first), str(file), str(goal)]
    told = forked.run(command, timeout=60)
    assert "has room" in told.stdout, told
    assert list(tmp_path.glob("new.zip*")) == []
    with closing(SQLStore(str(goal))) as other:
        assert other.studies() == []
        assert check_store(other).faults == ()


def test_the_file_has_no_secret_and_no_lease(store, tmp_path):
    export(store, tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        lines = archive.read("studies/s.jsonl").splitlines()
    names = {json.loads(line)["table"] for line in lines}
    assert names == {"events", "studies", "snapshots", "folded", "artifact_references", "claims"}
