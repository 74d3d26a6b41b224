"""Artifacts go to the store and come back whole; a study's generator takes arrays out of them."""

import hashlib
import sqlite3
import time
from contextlib import closing

import grpc
import numpy as np
import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.spec import GeneratorSpec
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound
from blackbox_am.rpc import chunks, status
from blackbox_am.service import Config, running
from blackbox_am.stores import SQLStore
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Chunk


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue.from_plain(
        {
            "oracles": {"sim": {"kind": "simulated"}},
            "generators": {"around": {"kind": "perturbation"}},
        }
    )


def refused(method, request):
    def called():
        answer = method(request, timeout=20)
        if not hasattr(answer, "digest"):
            list(answer)

    with pytest.raises(grpc.RpcError) as found:
        called()
    return status.from_rpc_error(found.value)


@pytest.mark.parametrize("size", [0, 1, 2**20, 5 * 2**20 + 3])
def test_bytes_come_back(client, size):
    data = np.random.default_rng(size).bytes(size)
    digest = client.write_artifact(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert client.read_artifact(digest) == data
    assert client.write_artifact(data) == digest


def test_reading_goes_on_where_a_stream_broke(client, raw):
    data = np.random.default_rng(0).bytes(3 * 2**20)
    name = f"artifacts/{client.write_artifact(data)}"
    rest = raw.studies.ReadArtifact(pb.ReadArtifactRequest(name=name, offset=2**20 + 7))
    assert b"".join(part.chunk.data for part in rest) == data[2**20 + 7 :]
    behind = pb.ReadArtifactRequest(name=name, offset=2**30)
    assert isinstance(refused(raw.studies.ReadArtifact, behind), InvalidInput)


def test_checksums_are_optional_and_looked_at(raw):
    good, *_ = chunks.split(b"abcd")
    plain = Chunk(data=b"abcd", total_size=4)
    names = {
        raw.studies.WriteArtifact(iter([pb.WriteArtifactRequest(chunk=chunk)])).name
        for chunk in (good, plain)
    }
    assert len(names) == 1
    good.data = b"abce"
    parts = [pb.WriteArtifactRequest(chunk=good)]
    found = refused(lambda r, timeout: raw.studies.WriteArtifact(iter(r), timeout=timeout), parts)
    assert "damaged" in found.message


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "held no chunk"),
        ([Chunk(data=b"ab", total_size=4)], "ended after 2 of 4"),
        ([Chunk(offset=1, data=b"ab", total_size=3)], "offset 0"),
        ([Chunk(total_size=2**40)], "at most"),
    ],
)
def test_broken_streams_are_refused(raw, parts, says):
    requests = [pb.WriteArtifactRequest(chunk=part) for part in parts]
    found = refused(
        lambda r, timeout: raw.studies.WriteArtifact(iter(r), timeout=timeout), requests
    )
    assert isinstance(found, InvalidInput)
    assert says in found.message


@pytest.mark.parametrize("name", ["", "artifacts/", "artifacts/xyz", "studies/a", "a" * 64])
def test_names_that_are_none(raw, name):
    found = refused(raw.studies.ReadArtifact, pb.ReadArtifactRequest(name=name))
    assert isinstance(found, InvalidInput)
    assert found.field == "name"


def test_what_is_not_there(client):
    with pytest.raises(NotFound, match="no artifact"):
        client.read_artifact("0" * 64)


def test_a_study_brings_the_inputs_of_its_generator(client):
    inputs = np.random.default_rng(1).random((2, 3, 8, 8)).astype(np.float32)
    generator = GeneratorSpec("around", inputs={"inputs": client.write_array(inputs)})
    study = client.create(
        targets=["units:0", "units:1"], generator=generator, oracle="sim", queries_per_target=40
    )
    assert study.wait(60).search_rows == 80
    assert study.spec().generator == generator
    for best in study.best(stimuli=True, dtype="float32"):
        assert np.abs(best.stimulus - inputs[best.target]).max() < 0.5
    assert study.best(stimuli=True, targets=[1])[0].target == 1


def test_inputs_that_cannot_be_used_name_the_field(client):
    def create(**inputs):
        client.create(
            targets=["units:0"], generator=GeneratorSpec("around", inputs=inputs), oracle="sim"
        )

    with pytest.raises(NotFound, match="no artifact") as found:
        create(inputs="0" * 64)
    assert found.value.field == "spec.generator.inputs.inputs"
    with pytest.raises(InvalidSpec, match="numpy"):
        create(inputs=client.write_artifact(b"\xff\xff\xff"))
    with pytest.raises(InvalidSpec, match="the input 'inputs'"):
        create()


def test_a_server_removes_old_artifacts_to_which_no_study_refers(tmp_path):
    place = tmp_path / "s.sqlite3"
    with closing(SQLStore(str(place))) as store:
        old, used, new = (store.artifacts.put(body) for body in (b"old", b"used", b"new"))
        store.artifacts.refer("a", "inputs", used)
        with closing(sqlite3.connect(place)) as database, database:
            database.execute(
                "UPDATE artifacts SET time = time - sign(time) * 90000 WHERE digest <> ?", [new]
            )
        config = Config(
            address="localhost:0",
            store=str(place),
            device="cpu",
            catalogue=Catalogue.from_plain({}),
        )

        def gone(digest):
            try:
                return store.artifacts.size(digest) < 0
            except NotFound:
                return True

        with running(config):
            deadline = time.monotonic() + 60
            while not gone(old) and time.monotonic() < deadline:
                time.sleep(0.05)
        assert gone(old)
        assert store.artifacts.get(used) == b"used"
        assert store.artifacts.get(new) == b"new"
