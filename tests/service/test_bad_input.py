"""What a client, a disk or an operator can get wrong: told over the wire, and nothing lost."""

import os
import shutil
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from blackbox_am.catalogue import SHIPPED, Catalogue, StudySettings
from blackbox_am.client import connect
from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    InvalidInput,
    InvalidSpec,
    NotFound,
    ShapeMismatch,
    StoreCorrupt,
    StoreError,
    StudyClosed,
)
from blackbox_am.rpc import status, tensors
from blackbox_am.service import running
from blackbox_am.testing.server import ServerProcess
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Dtype, Tensor
from blackbox_am.zoo import catalogue as zoo
from tests import forked

TOYS = """
[server]
shipped = false
device = "cpu"
retry_delays = [0.1, 0.2]

[oracles.sim]
kind = "simulated"
latency_seconds = 0.01

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""


def refused(method, request):
    """The error of a call that must be refused as bad input."""
    with pytest.raises(grpc.RpcError) as found:
        list(method(request, timeout=20))
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT, found.value.details()
    return status.from_rpc_error(found.value)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ([1] * 65, "at most 32 axes"),
        ([2**62] * 30_000, "at most 32 axes"),
        ([2**62, 2**62, 0], "no array has the shape"),
        ([2**62, 2**62, 2], "bytes, got 0"),
    ],
)
def test_shapes_that_no_array_has(raw, client, shape, says):
    tensor = Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=shape)
    for method, request in (
        (raw.oracles.Observe, oracle_pb.ObserveRequest(oracle="sim", stimuli=tensor)),
        (
            lambda r, timeout: raw.oracles.ObserveStream(iter([r]), timeout=timeout),
            oracle_pb.ObserveStreamRequest(
                header=oracle_pb.ObserveRequest(oracle="sim", stimuli=tensor)
            ),
        ),
        (raw.catalog.Render, catalog_pb.RenderRequest(generator="pixels", latents=tensor)),
        (raw.studies.Tell, pb.TellRequest(name="studies/none", activations=tensor)),
    ):
        found = refused(method, request)
        assert isinstance(found, ShapeMismatch | InvalidInput)
        assert says in found.message or "are taken" in found.message


@pytest.mark.parametrize("data", [b"\xff" * 30, b"\x0a\x7f\x01"])
def test_bytes_that_are_no_message(raw, data):
    method = raw.channel.unary_unary("/blackbox_am.v1.StudyService/CreateStudy")
    assert "cannot be read" in refused(method, data).message
    stream = raw.channel.stream_stream("/blackbox_am.v1.OracleService/ObserveStream")
    found = refused(lambda d, timeout: stream(iter([d]), timeout=timeout), data)
    assert "cannot be read" in found.message


def test_trees_too_deep(raw, client):
    nested = b"\x0a\x04mean\x12\x03u:0"
    for _ in range(1000):
        nested = b"\x0a\x03sum\x2a" + _length(nested) + nested
    spec = b"\x22" + _length(nested) + nested  # targets
    method = raw.channel.unary_unary("/blackbox_am.v1.StudyService/CreateStudy")
    assert "nested" in refused(method, b"\x0a" + _length(spec) + spec).message
    with pytest.raises(InvalidSpec, match="nested 64 deep"):
        _tower(1000)
    part = study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=2)
    for _ in range(80):
        part = study_pb2.Space(kind=study_pb2.SPACE_KIND_PRODUCT, dimension=2, parts=[part])
    assert "nested 64 deep" in _creation(raw, space=part).message


def _tower(height):
    tree = ObjectiveSpec("mean", quantities=("u:0",))
    for _ in range(height):
        tree = ObjectiveSpec("sum", terms=(tree,))
    return tree


def _length(data):
    left, out = len(data), b""
    while True:
        left, low = left >> 7, left & 127
        out += bytes([low | (128 if left else 0)])
        if not left:
            return out


def _creation(raw, **changes):
    spec = study_pb2.StudySpec(
        space=study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=4),
        targets=[study_pb2.Objective(kind="mean", quantities=["u:0"])],
        budget=study_pb2.Budget(queries_per_target=100_000),
    )
    for field, value in changes.items():
        spec.ClearField(field)
        if field == "targets":
            spec.targets.extend(value)
        else:
            getattr(spec, field).CopyFrom(value)
    return refused(raw.studies.CreateStudy, pb.CreateStudyRequest(spec=spec, validate_only=True))


def test_numbers_that_spoil_a_search(raw):
    leaf = study_pb2.Objective(kind="mean", quantities=["u:0"])
    for weight in (np.nan, np.inf):
        tree = study_pb2.Objective(kind="sum", weights=[weight], terms=[leaf])
        assert "finite weights" in _creation(raw, targets=[tree]).message
    sphere = study_pb2.Space(kind=study_pb2.SPACE_KIND_SPHERE, dimension=2, radius=1e300)
    assert "radius" in _creation(raw, space=sphere).message
    box = study_pb2.Space(kind=study_pb2.SPACE_KIND_BOX, dimension=2, low=[-1e300], high=[1])
    assert "low" in _creation(raw, space=box).message
    image = study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=4, image_shape=[-2, -2])
    assert "image_shape" in _creation(raw, space=image).message


def test_a_cheap_request_takes_no_great_memory(raw):
    wide = study_pb2.Objective(kind="mean", quantities=[f"u:{i}" for i in range(50_000)])
    many = study_pb2.PlugIn(name="random")
    many.parameters.update({"population": 100_000})
    assert "too large" in _creation(raw, targets=[wide], optimizer=many).message
    large = study_pb2.Space(kind=study_pb2.SPACE_KIND_NORMAL, dimension=10_000_000)
    assert "too large" in _creation(raw, space=large, optimizer=many).message
    greedy = study_pb2.PlugIn(name="cma")
    greedy.parameters.update({"max_bytes": 2**50})
    assert "max_bytes can be at most" in _creation(raw, optimizer=greedy).message
    stimuli = np.zeros((10_000, 3, 8, 8), np.uint8)
    request = oracle_pb.ObserveRequest(
        oracle="sim", stimuli=tensors.to_proto(stimuli), units=["units:0"] * 20_000
    )
    assert "too many for one answer" in refused(raw.oracles.Observe, request).message


def test_numbers_of_thousands_of_digits(raw, client):
    digits = "9" * 5000
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
    with pytest.raises(InvalidInput, match="expected ids of candidates"):
        study.tell([10**4000], [1.0])
    with pytest.raises(InvalidInput, match="not a unit"):
        client.probe("sim", [f"units:{digits}"])


def test_times_that_are_none(raw, client):
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
    for seconds in (np.nan, np.inf, 1e300):
        with pytest.raises(InvalidInput, match="lease_duration"):
            study.ask(lease=seconds)
        with pytest.raises(InvalidInput, match="min_interval"):
            next(iter(study.watch(min_interval=seconds)))
    request = pb.WatchStudyRequest(name=f"studies/{study.id}", min_interval=Duration(seconds=2**62))
    call = raw.studies.WatchStudy(request, timeout=10)
    assert next(call).event.HasField("created")
    call.cancel()


def test_what_float32_cannot_hold_is_not_rendered(raw):
    latents = tensors.to_proto(np.full((1, 192), 1e300))
    request = catalog_pb.RenderRequest(generator="pixels", latents=latents)
    assert "finite" in refused(raw.catalog.Render, request).message


# Files


@pytest.fixture
def zoo_folder(tmp_path, monkeypatch):
    """A copy of the zoo's weights, to be spoilt."""
    shutil.copytree(zoo.ROOT / "weights", tmp_path / "weights")
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("noun", "harm"),
    [
        ("oracle", "missing"),
        ("generator", "truncated"),
        pytest.param("oracle", "truncated", marks=pytest.mark.slow),
        pytest.param("generator", "missing", marks=pytest.mark.slow),
    ],
)
def test_a_spoilt_zoo_file_is_told_and_harms_no_other_study(config, zoo_folder, harm, noun):
    for name, entry in SHIPPED["oracles"].items():
        config.catalogue._oracles.slots[name] = Catalogue.from_plain(
            {"oracles": {name: entry}}
        )._oracles.slots[name]
    for name, entry in SHIPPED["generators"].items():
        config.catalogue._generators.slots[name] = Catalogue.from_plain(
            {"generators": {name: entry}}
        )._generators.slots[name]
        config.catalogue._settings[name] = StudySettings(())
    relative = {"oracle": "cifar_cnn.safetensors", "generator": "cifar_vae/config.json"}[noun]
    if harm == "truncated" and noun == "generator":
        relative = "cifar_vae/diffusion_pytorch_model.safetensors"
    victim = zoo_folder / "weights" / relative
    whole = victim.read_bytes()
    if harm == "missing":
        victim.unlink()
    else:
        victim.write_bytes(whole[: len(whole) // 2])
    wanted = {
        "targets": ["fc:0"],
        "oracle": "cifar_cnn",
        "generator": "cifar_vae" if noun == "generator" else "pixels_32",
        "queries_per_target": 8,
        "study_id": "spoilt",
    }
    with running(config) as address, connect(address) as client:
        other = client.create(
            targets=["units:0"], oracle="slow", generator="pixels", queries_per_target=300
        )
        for _ in range(2):
            with pytest.raises(NotFound if harm == "missing" else StoreCorrupt) as found:
                client.create(**wanted)
            assert victim.name in found.value.message
            assert "reinstall the package, or retrain" in found.value.message
        assert [s.study_id for s in client.studies()] == [other.id]
        assert other.wait(30).state is StudyState.SUCCEEDED
        victim.write_bytes(whole)
        units = [u for u in client.units("cifar_cnn") if u.endswith(":0")]
        cured = client.create(**{**wanted, "targets": units[-1:]})
        assert cured.wait(60).state is StudyState.SUCCEEDED


@pytest.fixture
def process(tmp_path):
    toml = tmp_path / "server.toml"
    toml.write_text(TOYS)
    return lambda: ServerProcess(tmp_path, toml)


@pytest.mark.slow
def test_no_room_on_the_disk_loses_nothing(process):
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("the limit of a file's size is changed from outside by Linux only")
    endless = resource.RLIM_INFINITY
    with process() as server, connect(server.address) as client:
        run = client.create(
            targets=["units:0"],
            generator="pixels",
            oracle="sim",
            queries_per_target=2000,
            study_id="run",
        )
        hand = client.create(targets=["u:0"], space=SpaceSpec("normal", 4), study_id="hand")
        candidates = hand.ask(4)
        next(iter(run.watch(after_sequence=8)))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, endless))
        for call in (
            lambda: hand.tell(candidates, np.zeros(4)),
            lambda: client.create(targets=["u:0"], space=SpaceSpec("normal", 4)),
            hand.pause,
            hand.delete,
        ):
            with pytest.raises(StoreError, match=r"could not be written.*has room"):
                call()
        time.sleep(2.0)  # longer than the worker's own attempts
        before = run.progress()
        assert before.state is StudyState.RUNNING
        assert [s.study_id for s in client.studies()] == ["hand", "run"]
        assert hand.progress().search_rows == 0
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (endless, endless))
        assert hand.tell(candidates, np.zeros(4)).accepted == 4
        end = run.wait(30)
        assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 2000)
        assert end.sequence > before.sequence
        assert [e.sequence for e in run.watch()] == list(range(1, end.sequence + 1))


def test_a_folder_that_cannot_be_written(config):
    folder = Path("/proc")  # not even root may write there
    if not folder.is_dir():
        pytest.skip("there is no /proc")
    wrong = replace(config, store=str(folder / "s.sqlite3"))
    with pytest.raises(StoreError, match="check the permissions"), running(wrong):
        pass


@pytest.mark.parametrize("place", ["head", pytest.param("half", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_store_damaged_between_runs_is_told_and_left_alone(process, tmp_path, place):
    with process() as server, connect(server.address) as client:
        search = client.create(
            targets=["units:0"], generator="pixels", oracle="sim", queries_per_target=100
        )
        search.wait(30)
    path = tmp_path / ServerProcess.STORE
    data = bytearray(path.read_bytes())
    if place == "head":
        data[:64] = os.urandom(64)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    command = [sys.executable, "-m", "blackbox_am.cli", "serve", "--address", "localhost:0"]
    started = forked.run([*command, "--store", path], timeout=60, check=False)
    assert started.returncode == 5, started.stderr
    assert "damaged" in started.stderr
    assert "Traceback" not in started.stderr
    assert path.read_bytes() == data


def test_a_changed_measurement_is_noticed_and_hides_no_other_study(config, tmp_path):
    path = tmp_path / "s.sqlite3"
    stored = replace(config, store=str(path))
    with running(stored) as address, connect(address) as client:
        for study_id in ("bad", "good"):
            study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2), study_id=study_id)
            study.tell(study.ask().ids[:12], np.ones(12))
    damage = sqlite3.connect(path)
    query = "select sequence, body from events where study = 'bad' order by sequence desc"
    sequence, body = next(
        (s, b) for s, b in damage.execute(query) if np.float64(1).tobytes() * 4 in b
    )
    changed = body.replace(np.float64(1).tobytes(), np.float64(9).tobytes(), 1)
    damage.execute(
        "update events set body = ? where study = 'bad' and sequence = ?", (changed, sequence)
    )
    damage.commit()
    damage.close()
    with running(stored) as address, connect(address) as client:
        with pytest.raises(StoreCorrupt, match=f"event {sequence} .*has changed.*delete the study"):
            list(client.study("bad").watch())
        with pytest.raises(StoreCorrupt, match=f"event {sequence} .*has changed"):
            client.study("bad").ask()
        assert {s.study_id for s in client.studies([StudyState.RUNNING])} == {"bad", "good"}
        assert client.study("good").ask().state is StudyState.RUNNING


# Many at once


def test_every_row_counts_once_among_many_clients(config, tmp_path):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    told, problems = [], []
    with running(stored) as address, connect(address) as client:
        study = client.create(
            targets=["u:0", "u:1"],
            space=SpaceSpec("normal", 3),
            parameters={"population": 16},
            queries_per_target=160,
        )

        def work():
            try:
                while (candidates := study.ask(3)).state.active:
                    if len(candidates):
                        scores = -(candidates.latents**2).sum(1)
                        told.append(study.tell(candidates, scores).accepted)
                        told.append(study.tell(candidates, scores).accepted)
                    else:
                        time.sleep(0.005)
            except StudyClosed:
                pass
            except Exception as error:
                problems.append(error)

        threads = [threading.Thread(target=work) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        end = study.wait(5)
        assert problems == []
        assert (end.state, end.search_rows, sum(told)) == (StudyState.SUCCEEDED, 320, 320)


def test_steered_from_all_sides_a_study_keeps_its_accounts(client):
    study = client.create(
        targets=["units:0"], generator="pixels", oracle="slow", queries_per_target=800
    )
    problems, stop = [], threading.Event()

    def steer(*actions):
        while not stop.is_set():
            for action in actions:
                try:
                    action()
                except StudyClosed:
                    return
                except Exception as error:
                    problems.append(error)
                    return

    def measure():
        candidates = study.ask(2)
        study.tell(candidates, candidates.latents[:, 0])

    threads = [
        threading.Thread(target=steer, args=actions)
        for actions in (
            (study.pause, study.resume),
            (lambda: study.extend(queries_per_target=801),),
            (measure,),
            (measure,),
            (study.progress, study.best),
        )
    ]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert problems == []
    study.resume() if study.progress().state.active else None
    end = study.wait(30)
    assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 801)
    assert [e.sequence for e in study.watch()] == list(range(1, end.sequence + 1))
    study.delete()
    with pytest.raises(NotFound):
        study.progress()


def test_told_while_it_is_deleted(client):
    for _ in range(5):
        study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
        candidates, problems = study.ask(), []

        def tell(study=study, candidates=candidates, problems=problems):
            for _ in range(20):
                try:
                    study.tell(candidates.ids[:1], [1.0])
                except Exception as error:
                    problems.append(error)  # noqa: B023

        thread = threading.Thread(target=tell)
        thread.start()
        study.delete()
        thread.join(20)
        assert {type(error) for error in problems} <= {NotFound}


def test_two_servers_at_one_study_do_not_keep_each_other_from_it(config, tmp_path):
    config.catalogue.add_oracle("slower", _slower())
    stored = replace(config, store=str(tmp_path / "s.sqlite3"), retry_delays=(0.05, 0.1))
    with running(stored) as one, connect(one) as first:
        study = first.create(
            targets=["units:0"], generator="pixels", oracle="slower", queries_per_target=200
        )
        next(iter(study.watch(after_sequence=3)))
        with running(stored):
            end = study.wait(30)
            assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 200)
            events = list(study.watch())
            assert [e.sequence for e in events] == list(range(1, end.sequence + 1))
            assert sum(type(e).__name__ == "Resumed" for e in events) <= 2


def _slower():
    from blackbox_am.oracles.simulated import Simulated

    return Simulated(latency_seconds=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["cma", "adam"])
def test_killed_where_targets_end_at_different_times(tmp_path, optimizer):
    toml = tmp_path / "server.toml"
    toml.write_text(TOYS.replace('"simulated"\n', '"simulated"\ngradients = true\n'))
    scores = []
    for kills in (2, 0):
        folder = tmp_path / str(kills)
        folder.mkdir()
        for left in range(kills, -1, -1):
            with ServerProcess(folder, toml) as server, connect(server.address) as client:
                study = client.create(
                    targets=["units:0", "units:1", "units:2"],
                    generator="pixels",
                    oracle="sim",
                    optimizer=optimizer,
                    seed=0,
                    parameters={"population": 8} if optimizer == "cma" else {"population": 2},
                    queries_per_target=1600 if optimizer == "cma" else 300,
                    patience=3,
                    study_id="mine",
                )
                if left:
                    after = study.progress().sequence + 25
                    next((e for e in study.watch(after)), None)
                    server.process.send_signal(signal.SIGKILL)
                    server.process.wait()
                else:
                    assert study.wait(60).state is StudyState.SUCCEEDED
                    scores.append([(g.targets, g.scores.tobytes()) for g in study.generations()])
    assert scores[0] == scores[1]
