"""Stimuli around several inputs, across the wire: each row around the input of its target."""

from __future__ import annotations

import contextlib
from concurrent import futures

import grpc
import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.client.client import Client
from blackbox_am.client.connection import Connection
from blackbox_am.core.tensors import to_uint8
from blackbox_am.errors import InvalidInput, ServerFailed
from blackbox_am.rpc import chunks, status, tensors
from blackbox_am.service import Config, running
from blackbox_am.v1 import catalog_service_pb2 as pb
from blackbox_am.v1.catalog_service_pb2_grpc import (
    CatalogServiceServicer,
    CatalogServiceStub,
    add_CatalogServiceServicer_to_server,
)

SHAPE = (3, 8, 8)
ROWS = 100
"""More than a call of the client asks for, and that is more than the server renders at once."""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Perturbations of 3 inputs, of the same behind a wrapper, and of one; and no perturbation."""
    folder = tmp_path_factory.mktemp("inputs")
    inputs = np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)
    np.save(folder / "three.npy", inputs)
    np.save(folder / "one.npy", inputs[:1])
    near = {"kind": "perturbation", "radius": 0.05, "basis": "tiles", "size": 4}
    three = near | {"inputs": str(folder / "three.npy")}
    return Catalogue.from_plain(
        {
            "oracles": {"sim": {"kind": "simulated", "stimulus_shape": list(SHAPE)}},
            "generators": {
                "three": three,
                "grey": three | {"wrap": [{"kind": "colour", "channels": "grey"}]},
                "one": near | {"inputs": str(folder / "one.npy")},
                "pixels": {"kind": "pixels", "shape": list(SHAPE)},
            },
        }
    )


@pytest.fixture
def latents():
    return np.random.default_rng(1).normal(size=(ROWS, 48)).astype(np.float32)


def here(catalogue, name, latents, targets):
    """What the generator itself renders, as bytes."""
    generator = catalogue.generator(name)
    rendered = generator.render_targets(torch.from_numpy(latents), torch.as_tensor(targets))
    return to_uint8(rendered.numpy())


def searched(client, generator):
    """A study of three targets that has ended."""
    study = client.create(
        targets=["units:0", "units:1", "units:2"],
        generator=generator,
        oracle="sim",
        optimizer="random",
        queries_per_target=30,
    )
    assert study.wait(timeout=60).search_rows == 90
    return study


@pytest.mark.parametrize("name", ["three", "grey"])
def test_each_row_is_rendered_for_its_target(client, catalogue, latents, name):
    targets = np.random.default_rng(2).integers(0, 3, ROWS)
    found = client.render(name, latents, targets=targets)
    np.testing.assert_array_equal(found, here(catalogue, name, latents, targets))
    assert not np.array_equal(found, client.render(name, latents, targets=(targets + 1) % 3))
    floats = client.render(name, latents, targets=targets.tolist(), dtype="float32")
    np.testing.assert_array_equal(to_uint8(floats), found)


def test_one_target_is_that_of_all_rows_and_none_is_the_first(client, catalogue, latents):
    second = here(catalogue, "three", latents, [1] * ROWS)
    for one in (1, [1], np.int64(1)):
        np.testing.assert_array_equal(client.render("three", latents, targets=one), second)
    first = here(catalogue, "three", latents, [0] * ROWS)
    np.testing.assert_array_equal(client.render("three", latents), first)
    np.testing.assert_array_equal(client.render("three", latents, targets=0), first)
    assert client.render("three", latents[:0], targets=[]).shape == (0, *SHAPE)


def test_a_generator_for_any_target_takes_the_first(client):
    halves = np.full((2, 192), 0.5)
    np.testing.assert_array_equal(
        client.render("pixels", halves, targets=[0, 0]), client.render("pixels", halves)
    )


def test_rows_of_targets_come_as_they_are_rendered(address):
    latents = np.zeros((ROWS, 48), np.float32)
    targets = np.arange(ROWS) % 3
    request = pb.RenderRequest(
        generator="three", latents=tensors.to_proto(latents), targets=targets.tolist()
    )
    with grpc.insecure_channel(address) as channel:
        header, *parts = CatalogServiceStub(channel).Render(request, timeout=20)
    assert header.header.stimuli.shape == [ROWS, *SHAPE]
    assert len(parts) == 4  # 32 rows a time
    assert [part.chunk.offset for part in parts] == [k * 32 * 192 for k in range(4)]


@pytest.mark.parametrize(
    ("generator", "targets", "says"),
    [
        ("three", [0, 1], r"targets: expected 3 of them, .* or 1 for all rows, got 2"),
        ("three", [0, 1, 2, 0], r"expected 3 of them, .*, got 4"),
        ("three", [0, 3, 0], "made for 3 targets, expected numbers from 0 to 2, got 3"),
        ("grey", [3], "this colour generator is made for 3 targets"),
        ("three", [0, -1, 0], "expected numbers from 0 to 2, got -1"),
        ("three", [2**31 - 1], "got 2147483647"),
        ("one", [0, 0, 1], "this perturbation generator tells no targets apart.* got 1"),
        ("pixels", [5], "this pixels generator tells no targets apart, so expected only 0, got 5"),
        ("pixels", [-1], "expected only 0, got -1; leave targets out"),
        ("pixels", [0, 0], "expected 3 of them"),
    ],
)
def test_targets_that_there_are_not_are_invalid_arguments(address, generator, targets, says):
    zeros = np.zeros((3, 192 if generator == "pixels" else 48), np.float32)
    request = pb.RenderRequest(
        generator=generator, latents=tensors.to_proto(zeros), targets=targets
    )
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as found:
        list(CatalogServiceStub(channel).Render(request, timeout=20))
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = status.from_rpc_error(found.value)
    assert isinstance(error, InvalidInput)
    assert error.field == "targets"
    with pytest.raises(InvalidInput, match=says):
        raise error


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ([0] * 64, "expected 100 of them, .*, got 64"),  # as many as the client sends at once
        ([], "expected 100 of them, .*, got 0"),
        ([0.5] * ROWS, "expected whole numbers from 0 on"),
        (-1, "expected whole numbers from 0 on, .* got -1"),
        (2**31, "expected whole numbers"),
        (True, "expected whole numbers"),
        ("1", "expected whole numbers"),
        ([[1]], "expected whole numbers"),
        (3, "from 0 to 2, got 3"),
    ],
)
def test_what_the_client_cannot_send_is_refused_alike(client, latents, targets, says):
    with pytest.raises(InvalidInput, match=says) as found:
        client.render("three", latents, targets=targets)
    assert found.value.field == "targets"


def test_listings_say_how_many_targets_there_are(client):
    found = {entry.name: entry.targets for entry in client.generators()}
    assert found == {"three": 3, "grey": 3, "one": None, "pixels": None}


def test_a_study_shows_each_target_around_its_own_input(client, catalogue):
    best = searched(client, "three").best(stimuli=True)
    assert [entry.target for entry in best] == [0, 1, 2]
    mine = np.stack([entry.latent for entry in best])
    stimuli = np.stack([entry.stimulus for entry in best])
    np.testing.assert_array_equal(to_uint8(stimuli), here(catalogue, "three", mine, [0, 1, 2]))
    again = client.render("three", mine, targets=[entry.target for entry in best])
    np.testing.assert_array_equal(again, to_uint8(stimuli))


def test_candidates_are_shown_around_the_inputs_of_their_targets(client, catalogue):
    study = client.create(
        targets=["a:0", "a:1", "a:2"], generator="three", optimizer="random", queries_per_target=10
    )
    asked = study.ask(stimuli=True)
    targets = asked.targets
    assert set(targets) == {0, 1, 2}
    np.testing.assert_array_equal(asked.stimuli, here(catalogue, "three", asked.latents, targets))


def test_inputs_that_the_operator_took_away_are_said_to_be_missing(tmp_path):
    inputs = np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)
    tables = {
        "oracles": {"sim": {"kind": "simulated", "stimulus_shape": list(SHAPE)}},
        "generators": {"near": {"kind": "perturbation", "inputs": str(tmp_path / "inputs.npy")}},
    }

    @contextlib.contextmanager
    def around(inputs):
        np.save(tmp_path / "inputs.npy", inputs)
        config = Config(
            address="localhost:0",
            store=str(tmp_path / "studies.sqlite3"),
            device="cpu",
            catalogue=Catalogue.from_plain(tables),
        )
        with running(config) as address, connect(address) as client:
            yield client

    with around(inputs) as client:
        study_id = searched(client, "near").id
    with around(inputs[:2]) as client:
        assert len(client.study(study_id).best()) == 3
        with pytest.raises(InvalidInput, match=r"made for 2 targets, .* from 0 to 1, got 2"):
            client.study(study_id).best(stimuli=True)


class Broken(CatalogServiceServicer):
    """Answers to Render with the parts that it was given."""

    def __init__(self, parts):
        self.parts = parts

    def Render(self, request, context):  # noqa: N802
        yield from self.parts


@contextlib.contextmanager
def answering(parts):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    add_CatalogServiceServicer_to_server(Broken(parts), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    client = Client(Connection(f"localhost:{port}", 20.0))
    yield client
    client.close()
    server.stop(None).wait()


def test_a_broken_answer_is_no_stimulus():
    part = pb.RenderResponse
    header = part(header=pb.RenderHeader(stimuli=tensors.header("uint8", (1, 4))))
    (chunk,) = chunks.split(b"abcd")
    good = [header, part(chunk=chunk)]
    with answering(good) as client:
        assert client.render("any", [[0.0]]).tolist() == [[97, 98, 99, 100]]
    for parts, error, says in (
        ([], ServerFailed, "the server sent no tensor"),
        (good[::-1], InvalidInput, "chunk before it"),
        ([header, header, good[1]], InvalidInput, "second header"),
        ([header, part(), good[1]], InvalidInput, "a part without either"),
        ([header], InvalidInput, "ended after 0 of 4 bytes"),
    ):
        with answering(parts) as client, pytest.raises(error, match=says):
            client.render("any", [[0.0]])
