"""The catalogue's oracles and generators, for whoever asks."""

from dataclasses import replace

import grpc
import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue, StudySettings
from blackbox_am.catalogue._shelf import Slot
from blackbox_am.client import connect
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, NotFound, ShapeMismatch, UnknownUnit
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import chunks, progress, status, tensors
from blackbox_am.service import running
from blackbox_am.testing.inference_model import inference_model
from blackbox_am.v1 import oracle_service_pb2 as pb

UNITS = ["units:0", "units:7"]


def stimuli(n, dtype=np.float32):
    random = np.random.default_rng(1)
    if dtype == np.uint8:
        return random.integers(0, 256, (n, 3, 8, 8)).astype(np.uint8)
    return random.random((n, 3, 8, 8)).astype(dtype)


def expected(batch):
    rows = batch / np.float32(255) if batch.dtype == np.uint8 else batch
    rows = torch.from_numpy(rows.astype(np.float32))
    return Simulated().observe(rows, [Unit.parse(u) for u in UNITS]).numpy()


def problem(error):
    return status.from_rpc_error(error.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("rows", [1, 64, 100])
def test_observing(raw, dtype, rows):
    batch = stimuli(rows, dtype)
    answer = raw.oracles.Observe(
        pb.ObserveRequest(oracle="sim", stimuli=tensors.to_proto(batch), units=UNITS)
    )
    found = tensors.from_proto(answer.activations)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(batch), rtol=1e-6)


def test_an_answer_does_not_depend_on_company(raw):
    batch = stimuli(70)

    def observe(rows):
        request = pb.ObserveRequest(oracle="sim", stimuli=tensors.to_proto(rows), units=UNITS)
        return tensors.from_proto(raw.oracles.Observe(request).activations)

    whole = observe(batch)
    for i in (0, 33, 69):
        np.testing.assert_array_equal(observe(batch[i : i + 1])[0], whole[i])


def test_observing_nothing(raw):
    empty = tensors.to_proto(np.zeros((0, 3, 8, 8), np.float32))
    answer = raw.oracles.Observe(pb.ObserveRequest(oracle="sim", stimuli=empty, units=UNITS))
    assert list(answer.activations.shape) == [0, 2]


def stream(raw, parts):
    return list(raw.oracles.ObserveStream(iter(parts), timeout=20))


def outgoing(batch, units=UNITS):
    header = tensors.header(batch.dtype.name, batch.shape)
    yield pb.ObserveStreamRequest(
        header=pb.ObserveRequest(oracle="sim", stimuli=header, units=units)
    )
    for chunk in chunks.split(batch.tobytes()):
        yield pb.ObserveStreamRequest(chunk=chunk)


def test_large_batches_are_streamed(raw):
    batch = stimuli(8000)
    assert batch.nbytes > 4 * 2**20
    first, *rest = stream(raw, outgoing(batch))
    joiner = chunks.Joiner(tensors.size_of(first.header.activations))
    for part in rest:
        joiner.add(part.chunk)
    found = tensors.from_header(first.header.activations, joiner.result())
    np.testing.assert_allclose(found, expected(batch), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda parts: parts[1:], "chunk before it"),
        (lambda parts: parts[:1] + parts[:1], "second header"),
        (lambda parts: parts[:-1], "ended after"),
        (lambda parts: [parts[0], *parts[2:]], "expected the chunk at offset 0"),
        (lambda parts: [], "no header"),
        (lambda parts: [pb.ObserveStreamRequest()], "nothing before it"),
    ],
)
def test_broken_streams_are_refused(raw, change, says):
    parts = list(outgoing(stimuli(4000)))
    with pytest.raises(grpc.RpcError) as error:
        stream(raw, change(parts))
    assert isinstance(problem(error), InvalidInput)
    assert says in problem(error).message


def test_a_stream_that_announces_too_much_is_refused(raw):
    header = tensors.header("float32", (10**6, 3, 8, 8))
    parts = [pb.ObserveStreamRequest(header=pb.ObserveRequest(oracle="sim", stimuli=header))]
    with pytest.raises(grpc.RpcError) as error:
        stream(raw, parts)
    assert "at most" in problem(error).message


def test_an_oracle_must_be_named_where_there_are_several(raw):
    with pytest.raises(grpc.RpcError) as error:
        raw.oracles.DescribeOracle(pb.DescribeOracleRequest())
    assert "climbable, sim, slow" in problem(error).message
    with pytest.raises(grpc.RpcError) as error:
        raw.oracles.DescribeOracle(pb.DescribeOracleRequest(oracle="nix"))
    assert isinstance(problem(error), NotFound)


def test_descriptions(raw):
    answer = raw.oracles.DescribeOracle(pb.DescribeOracleRequest(oracle="climbable"))
    oracle = Simulated(gradients=True)
    expected = replace(oracle.describe(), fingerprint=oracle.fingerprint().digest)
    assert progress.oracle_from_proto(answer) == expected


# The catalogue, by the client


def test_listings(client):
    oracles = {oracle.name: oracle for oracle in client.oracles()}
    assert sorted(oracles) == ["climbable", "sim", "slow"]
    assert oracles["sim"].info == Simulated().describe()
    assert (
        oracles["climbable"].info.capabilities == Simulated(gradients=True).describe().capabilities
    )
    generators = {generator.name: generator for generator in client.generators()}
    assert generators["small"].stimulus_shape == (1, 4, 4)
    assert generators["small"].space.dimension == 16
    assert generators["small"].differentiable
    optimizers = {optimizer.name: optimizer for optimizer in client.optimizers()}
    assert {"adam", "cma", "random", "sep_cma"} <= set(optimizers)
    assert (optimizers["adam"].order, optimizers["cma"].order) == (1, 0)
    assert "normal" in optimizers["cma"].spaces
    assert "population" in optimizers["cma"].schema["properties"]
    assert all(o.summary and not o.problem for o in optimizers.values())
    assert {"mean", "sum", "weighted"} <= {objective.name for objective in client.objectives()}
    criteria = {criterion.name: criterion for criterion in client.criteria()}
    assert {"all", "any", "misclassified", "threshold"} <= set(criteria)
    assert "terms" in criteria["all"].schema["properties"]
    transforms = {transform.name: transform for transform in client.transforms()}
    assert {"colour", "crop", "jitter"} <= set(transforms)
    assert "amount" in transforms["jitter"].schema["properties"]
    measures = {measure.name: measure for measure in client.measures()}
    assert measures["tv"].quantities == ("stimulus.tv",)
    assert [name for name, found in measures.items() if found.compares_inputs] == ["distances"]


def test_what_cannot_be_built_is_listed_with_the_reason(config):
    def missing(_):
        raise NotFound("the weights are not here")

    def failing(_):
        raise RuntimeError("secret of the file")

    config.catalogue._oracles.slots["failing"] = Slot(failing)
    config.catalogue._generators.slots["failing"] = Slot(failing)
    config.catalogue._settings["failing"] = StudySettings(())
    config.catalogue._oracles.slots["broken"] = Slot(missing)
    config.catalogue._generators.slots["broken"] = Slot(missing)
    config.catalogue._settings["broken"] = StudySettings(())
    with running(config) as address, connect(address) as client:
        oracles = {oracle.name: oracle for oracle in client.oracles()}
        assert oracles["broken"].info is None
        assert oracles["broken"].problem == "the weights are not here"
        assert oracles["sim"].problem == ""
        generators = {generator.name: generator for generator in client.generators()}
        assert generators["broken"].space is None
        assert generators["broken"].problem == "the weights are not here"
        for entry in (oracles["failing"], generators["failing"]):
            assert entry.problem == (
                "it cannot be loaded: RuntimeError; the server's log has the traceback"
            )


def test_units(client):
    assert client.units("sim") == [f"units:{i}" for i in range(10)]
    assert client.units("sim", "units") == client.units("sim")
    with pytest.raises(UnknownUnit, match="did you mean 'units'"):
        client.units("sim", "unit")
    with pytest.raises(NotFound):
        client.units("nobody")


@pytest.mark.parametrize("unit", ["units:99", "unit:1", "no unit!", "units:1@center"])
def test_the_unit_at_fault_is_named_by_its_place(client, unit):
    with pytest.raises(InvalidInput) as found:
        client.observe("sim", np.zeros((1, 3, 8, 8), np.uint8), ["units:1", unit])
    assert found.value.field == "units[1]"


def test_units_in_pages(raw):
    from blackbox_am.v1 import catalog_service_pb2 as catalog

    found, token = [], ""
    while True:
        request = catalog.ListUnitsRequest(oracle="sim", page_size=4, page_token=token)
        answer = raw.catalog.ListUnits(request)
        assert len(answer.units) <= 4
        found += answer.units
        token = answer.next_page_token
        if not token:
            break
    assert found == [f"units:{i}" for i in range(10)]


def test_probing(client):
    probe = client.probe("sim", ["units:2"])
    assert probe.finite
    assert probe.repeat_difference == 0
    assert probe.activations.shape == (8, 1)
    assert probe.rows_per_second > 0
    assert client.probe("sim").activations.shape == (8, 10)
    with pytest.raises(UnknownUnit):
        client.probe("sim", ["units:99"])


def test_rendering(client):
    latents = np.linspace(0, 1, 2 * 192).reshape(2, 192)
    floats = client.render("pixels", latents, dtype="float32")
    np.testing.assert_array_equal(floats, latents.astype(np.float32).reshape(2, 3, 8, 8))
    bytes_ = client.render("pixels", latents)
    assert bytes_.dtype == np.uint8
    np.testing.assert_array_equal(bytes_, np.rint(floats * 255))
    assert client.render("pixels", np.zeros((0, 192))).shape == (0, 3, 8, 8)
    many = client.render("small", np.full((40_000, 16), 0.5), dtype="float32")
    assert many.nbytes > 2 * 2**20
    assert (many == 0.5).all()


@pytest.mark.parametrize(
    ("latents", "error", "says"),
    [
        (np.zeros((2, 5)), ShapeMismatch, "192"),
        (np.full((1, 192), np.nan), InvalidInput, "finite"),
        (np.zeros((1, 192), int), ShapeMismatch, "floating-point"),
        (["a"], InvalidInput, "numbers"),
    ],
)
def test_latents_that_cannot_be_rendered(client, latents, error, says):
    with pytest.raises(error, match=says):
        client.render("pixels", latents)


def test_stimuli_are_uint8_or_float32(client):
    with pytest.raises(InvalidInput, match="uint8 or float32"):
        client.render("pixels", np.zeros((1, 192)), dtype="float64")


def test_latents_of_the_prior_are_the_same_for_a_seed(client):
    drawn = client.sample("small", 5, seed=3)
    assert drawn.shape == (5, 16)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    np.testing.assert_array_equal(drawn, client.sample("small", 5, seed=3))
    np.testing.assert_array_equal(drawn[:2], client.sample("small", 2, seed=3))
    assert not np.array_equal(drawn, client.sample("small", 5, seed=4))
    assert client.sample("pixels", 10_000).shape == (10_000, 192)  # 7.7 MB, streamed


@pytest.mark.parametrize("count", [0, -1, 2**16 + 1])
def test_how_many_latents(client, count):
    with pytest.raises(InvalidInput, match=r"expected 1 to 65,536 latents"):
        client.sample("small", count)


def test_says_how_many_stimuli_have_come(client):
    seen = []
    client.render("pixels", np.zeros((150, 192)), on_rows=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 150
    assert len(seen) > 2


def test_an_unknown_model_of_an_inference_server_crosses_the_wire(config):
    with inference_model(lambda rows: rows.sum((1, 2)), (3, 8), 8) as target:
        table = {"kind": "inference_protocol", "target": target}
        catalogue = Catalogue.from_plain(
            {"oracles": {name: {**table, "model": name} for name in ("model", "modle")}}
        )
        with (
            running(replace(config, catalogue=catalogue)) as address,
            connect(address) as client,
        ):
            assert client.units("model")[0] == "scores:0"
            with pytest.raises(NotFound) as found:
                client.units("modle")
            with pytest.raises(NotFound):
                client.observe("modle", np.zeros((1, 3, 8), np.float32), ["scores:0"])
            listed = {oracle.name: oracle.problem for oracle in client.oracles()}
    assert f"the model 'modle' at {target}: it has no model 'modle'" in str(found.value)
    assert listed["model"] == ""
    assert listed["modle"] == str(found.value)
