"""Every kind of stimulus through every transport: what was rendered arrives, number by number.

At the far end of each transport stands a model whose unit i is the number at place i of the
stimulus, in row-major order. So its answers are what it received: the right numbers in the right
places and rows, and a model that gets another shape than it expects fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import Client, connect
from blackbox_am.core.expressions import objective
from blackbox_am.core.tensors import to_uint8
from blackbox_am.core.types import StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.http import Http
from blackbox_am.service import Config, running
from tests.oracles.transports import (
    KINDS,
    STEP,
    TRANSPORTS,
    Shape,
    Transport,
    far_end,
    read_places,
    rendered,
    serving,
)

CASES = [
    pytest.param(transport, shape, id=f"{kind} by {name}")
    for name, transport in TRANSPORTS.items()
    for kind, shape in KINDS.items()
    if transport.carries(shape)
]


@pytest.mark.parametrize(("transport", "shape"), CASES)
def test_what_is_rendered_arrives(transport: Transport, shape: Shape, tmp_path: Path) -> None:
    stimuli = rendered(shape)
    units = [Unit(transport.layer, place) for place in range(prod(shape))]
    with transport.opened(shape, tmp_path) as oracle, torch.no_grad():
        assert oracle.describe().stimulus_shape == shape
        received = oracle.observe(stimuli, units)
        torch.testing.assert_close(  # some answer in float64
            received.float(), stimuli.flatten(1), rtol=0, atol=transport.error
        )
        # Its columns in another order, and its rows by themselves.
        few = [units[-1], units[0], units[len(units) // 2]]
        places = [len(units) - 1, 0, len(units) // 2]
        assert torch.equal(oracle.observe(stimuli[3:4], few), received[3:4, places])
        if transport.error == STEP:  # what is one of 256 already is carried to the last bit
            exact = torch.from_numpy(to_uint8(stimuli.numpy()) / np.float32(255))
            assert torch.equal(oracle.observe(exact, units).float(), exact.flatten(1))


@pytest.mark.parametrize("kind", ["torch_module", "onnx", "snn"])
@pytest.mark.parametrize(
    ("shape", "along"),
    [((3, 4, 5), 0), ((7, 3, 4), 0), ((2, 12), 0), ((9,), 0), ((2, 3, 4, 5), 1), ((3, 2, 4, 5), 0)],
)
def test_each_channel_has_its_own_mean(kind: str, shape: Shape, along: int, tmp_path: Path) -> None:
    mean = tuple(0.1 * (index + 1) for index in range(shape[along]))
    std = tuple(2.0**-index for index in range(shape[along]))
    with TRANSPORTS[kind].opened(shape, tmp_path) as plain, torch.no_grad():
        oracle = replace(plain, mean=mean, std=std)
        units = [Unit(TRANSPORTS[kind].layer, place) for place in range(prod(shape))]
        stimuli = rendered(shape)
        received = oracle.observe(stimuli, units).reshape(stimuli.shape)
    for index in range(shape[along]):
        one = stimuli.select(1 + along, index)
        expected = (one - mean[index]) / std[index]
        torch.testing.assert_close(received.select(1 + along, index), expected)


def test_no_transport_is_forgotten() -> None:
    tried = {name.partition(",")[0] for name in TRANSPORTS}
    without = {"simulated"}  # no model at its far end: it carries nothing
    assert set(plugins.oracles.names()) <= tried | without


@pytest.mark.parametrize("shape", [(5, 4, 6), (2, 3, 4, 5), (2, 12), (9,)])
@pytest.mark.parametrize("image", ["png", "jpeg"])
def test_what_no_image_file_holds_is_refused(shape: Shape, image: str) -> None:
    with pytest.raises(InvalidSpec, match=r"use 'floats' for numbers in lists") as found:
        Http("http://localhost/", shape, units=2, image=image)
    assert str(shape) in found.value.message


def test_jpeg_has_no_fourth_channel() -> None:
    with pytest.raises(InvalidSpec, match=r"\(1 or 3, height, width\).*\(4, 4, 5\)"):
        Http("http://localhost/", (4, 4, 5), units=2, image="jpeg")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with ExitStack() as stack:
        far = stack.enter_context(serving(**{kind: far_end(s) for kind, s in KINDS.items()}))
        remotes = {kind: {"kind": "remote", "target": far, "oracle": kind} for kind in KINDS}
        pixels = {kind: {"kind": "pixels", "shape": list(shape)} for kind, shape in KINDS.items()}
        catalogue = Catalogue.from_plain({"oracles": remotes, "generators": pixels})
        config = Config("localhost:0", store=":memory:", device="cpu", catalogue=catalogue)
        address = stack.enter_context(running(config))
        yield stack.enter_context(connect(address))


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_stimulus_comes_back(client: Client, kind: str) -> None:
    shape = KINDS[kind]
    last = prod(shape) - 1
    study = client.create(
        oracle=kind,
        generator=kind,
        targets=["scores:1", f"scores:{last}"],
        optimizer="random",
        queries_per_target=40,
    )
    progress = study.wait(timeout=60)
    assert progress.state is StudyState.SUCCEEDED, progress.message
    best = study.best(stimuli=True, dtype="float32")
    for found, place in zip(best, (1, last), strict=True):
        assert found.stimulus is not None
        assert found.stimulus.shape == shape
        assert found.score == np.asarray(found.stimulus).reshape(-1)[place]
        assert found.score > 0.8
        rendered_again = client.render(kind, found.latent[None], dtype="float32")[0]
        np.testing.assert_array_equal(found.stimulus, rendered_again)
        seen = client.observe(kind, np.asarray(found.stimulus)[None], [f"scores:{place}"])
        assert seen[0, 0] == found.score


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_measures_what_it_is_sent(client: Client, kind: str) -> None:
    shape = KINDS[kind]
    study = client.create(
        generator=kind,
        targets=[objective("scores:1")],
        optimizer="random",
        parameters={"population": 10},
        queries_per_target=30,
    )
    while study.progress().state.active:
        candidates = study.ask(stimuli=True)
        if not len(candidates):
            break
        assert candidates.stimuli is not None
        assert candidates.stimuli.shape == (len(candidates), *shape)
        again = client.render(kind, candidates.latents, dtype="uint8")
        np.testing.assert_array_equal(candidates.stimuli, again)
        study.tell(candidates, read_places(shape, candidates.stimuli / 255)[:, 1:2])
    assert study.progress().state is StudyState.SUCCEEDED
    (best,) = study.best(stimuli=True)
    assert best.stimulus is not None
    assert best.stimulus.shape == shape
    assert best.stimulus.dtype == np.uint8
    assert best.score == pytest.approx(best.stimulus.reshape(-1)[1] / 255, abs=STEP)


def test_a_stimulus_too_large_for_a_message_is_observed() -> None:
    shape = (16, 3, 160, 160)
    stimuli = np.random.default_rng(0).random((2, *shape), np.float32)
    assert stimuli[0].nbytes > 4 * 2**20
    ends = Function(lambda clips: clips.reshape(len(clips), -1)[:, [0, 1, -1]], shape)
    with serving(far=ends) as address, connect(address) as client:
        units = ["scores:2", "scores:0"]
        received = client.observe("far", stimuli, units)
        np.testing.assert_array_equal(received, stimuli.reshape(2, -1)[:, [-1, 0]])
        with pytest.raises(ShapeMismatch, match="expected shape"):
            client.observe("far", stimuli.swapaxes(1, 2), units)
