"""The results of a study on a server: as objects, as files, and every row that was shown."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import blackbox_am
import blackbox_am.client as bam
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidInput, NotFound, Unauthenticated, Unsupported
from blackbox_am.service import Config, running
from blackbox_am.service import shown as service_shown

TABLES = {
    "oracles": {"sim": {"kind": "simulated"}},
    "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return str(tmp_path_factory.mktemp("server") / "s.sqlite3")


@pytest.fixture(scope="module")
def address(place):
    catalogue = Catalogue.from_plain(TABLES)
    config = Config(address="localhost:0", store=place, device="cpu", catalogue=catalogue)
    with running(config) as found:
        yield found


@pytest.fixture(scope="module")
def client(address):
    with bam.connect(address) as found:
        yield found


@pytest.fixture(scope="module")
def study(client):
    study = client.create(
        targets=["units:0", "units:3"],
        generator="pixels",
        oracle="sim",
        queries_per_target=50,
        seed=3,
        study_id="searched",
    )
    assert study.wait(60, progress=False).state is StudyState.SUCCEEDED
    return study


def test_a_result_is_that_of_the_store(study, place):
    result = study.result()
    local = blackbox_am.open_result(place, "searched", catalogue=Catalogue.from_plain(TABLES))
    assert result.progress == local.progress
    assert result.spec == local.spec
    for one, other in zip(result.best, local.best, strict=True):
        assert np.array_equal(one.stimulus, other.stimulus)
        assert np.array_equal(one.latent, other.latent)
    assert result.provenance.oracle.digest == local.provenance.oracle.digest
    assert result.provenance.optimizer == local.provenance.optimizer
    assert "<img" in study._repr_html_()


@pytest.mark.parametrize(("changes", "read"), [(0, 1), (1, 2), (9, 3)])
def test_a_result_is_of_one_moment_or_says_that_it_is_not(study, monkeypatch, changes, read):
    """`changes`: number of reads of the study after which its sequence number changes."""
    got, reads = study._get, []

    def moving():
        found = got()
        found.sequence -= max(changes - len(reads), 0)
        return found

    def generations(after=-1):
        reads.append(after)
        return iter(())

    monkeypatch.setattr(study, "_get", moving)
    monkeypatch.setattr(study, "generations", generations)
    result = study.result()
    assert len(reads) == read
    assert any("different moments" in note for note in result.notes) == (changes == 9)


def test_every_row_comes_back_as_from_the_store(study, place, monkeypatch):
    monkeypatch.setattr(service_shown, "PART_BYTES", 2_000)  # a generation in several messages
    local = blackbox_am.open_result(place, "searched", catalogue=Catalogue.from_plain(TABLES))
    for row, other in zip(study.rows(stimuli=True), local.rows(stimuli=True), strict=True):
        assert row.candidate == other.candidate
        assert row.score == other.score
        assert row.quantities == other.quantities
        assert row.latent.tobytes() == other.latent.tobytes()
        assert row.stimulus.tobytes() == other.stimulus.tobytes()
        assert row.values.tobytes() == other.values.tobytes()


def test_only_what_is_requested(study):
    rows = list(study.rows(latents=False, targets=(1,)))
    assert len(rows) == 50
    assert {row.candidate.target for row in rows} == {1}
    assert rows[0].latent is None
    assert rows[0].stimulus is None
    assert len(study.to_dataframe()) == 100
    with pytest.raises(InvalidInput, match="target"):
        next(study.rows(targets=(7,)))


def test_a_saved_study_comes_back(study, tmp_path):
    back = blackbox_am.load(study.save(tmp_path / "a", latents=True))
    assert back.progress == study.progress()
    assert [row.score for row in back.rows()] == [row.score for row in study.rows()]
    again = blackbox_am.repeat(back.spec, catalogue=Catalogue.from_plain(TABLES), device="cpu")
    assert [best.score for best in again.best] == [best.score for best in back.best]


def test_what_clients_measured_comes_back(client, tmp_path):
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 3), queries_per_target=20)
    seen = {}
    while not (found := study.ask(7)).done:
        seen |= dict(zip(found.ids, found.latents, strict=True))
        scores = -np.square(found.latents).sum(1)
        scores[:1] = np.nan
        study.tell(found, scores)
        if len(seen) == 7:
            open_rows = list(study.rows())  # of a generation that is not complete
            assert len(open_rows) == 7
            assert np.isnan(open_rows[0].score)
    rows = list(study.rows())
    assert {row.latent.tobytes() for row in rows} == {one.tobytes() for one in seen.values()}
    assert study.result().notes == ("no stimuli: the study searches a bare space",)
    assert blackbox_am.load(study.save(tmp_path / "bare")).progress == study.progress()
    with pytest.raises(InvalidInput, match="bare space"):
        next(study.rows(stimuli=True))


def test_a_missing_study_has_no_rows(client, study):
    gone = client.create(targets=["u:0"], space=SpaceSpec("normal", 3), queries_per_target=20)
    gone.delete()
    with pytest.raises(NotFound):
        next(gone.rows())


def test_a_study_reaches_another_process(study):
    program = (
        "import pickle, sys; study = pickle.load(sys.stdin.buffer);"
        "print(study.id, study.progress().search_rows)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(study), capture_output=True, check=True
    )
    assert done.stdout.split() == [b"searched", b"100"]


def test_copies_of_a_client_have_names_of_their_own(address):
    with bam.connect(address, client_id="rig-1") as client:
        other = pickle.loads(pickle.dumps(client))
        assert other.studies() == client.studies()
        assert str(other._connection.name) != "rig-1"
        other.close()


def test_no_pickle_has_a_token(address, monkeypatch):
    with bam.connect(address, token="bam_secret_of_mine") as client:
        body = pickle.dumps(client)
    assert b"secret" not in body
    monkeypatch.delenv("BLACKBOX_AM_TOKEN", raising=False)
    with pytest.raises(Unauthenticated, match="BLACKBOX_AM_TOKEN"):
        pickle.loads(body)
    monkeypatch.setenv("BLACKBOX_AM_TOKEN", "bam_secret_of_mine")
    other = pickle.loads(body)
    assert other.studies()
    other.close()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_in_one_process_use_one_connection(address, study, monkeypatch, copied):
    monkeypatch.delenv("BLACKBOX_AM_TOKEN", raising=False)
    with bam.connect(address, token="bam_secret_of_mine") as client:
        handle = copied(client.study(study.id))
        assert handle._connection is client._connection
        assert handle.progress().study_id == study.id


def test_a_kept_result_says_that_it_has_no_server(study):
    result = pickle.loads(pickle.dumps(study.result()))
    assert result.plot.convergence().lines
    with pytest.raises(Unsupported, match="pickled"):
        next(result.rows())
