"""Every kind of stimulus through every transport: what was rendered arrives, number by number.

At the far end of each transport stands a model whose unit i is the number at place i of the
stimulus, in row-major order. So its answers are what it received: the right numbers in the right
places and rows, and a model that gets another shape than it expects fails.
"""

from __future__ import annotations

import base64
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import Client, connect
from blackbox_am.core.expressions import objective
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.tensors import to_uint8
from blackbox_am.core.types import StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.oracles.process.subprocess import Subprocess
from blackbox_am.oracles.sklearn import Sklearn
from blackbox_am.oracles.snn import Snn
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.rpc import chunks
from blackbox_am.service import Config, running
from blackbox_am.testing.inference_model import MODEL, inference_model
from blackbox_am.testing.json_api import json_api

Shape = tuple[int, ...]

KINDS: dict[str, Shape] = {
    "grey": (1, 4, 5),
    "rgb": (3, 4, 5),
    "rgba": (4, 4, 5),
    "spectral": (7, 3, 4),
    "clip": (2, 3, 4, 5),
    "series": (2, 12),
    "table": (9,),
}
"""Every length is another, so that no two axes can change places unseen."""
ROWS = 5
STEP = 0.5 / 255 + 1e-6
"""The most that a number is off which was rounded to 1/255."""


def rendered(shape: Shape) -> torch.Tensor:
    """What a generator makes of `ROWS` latents."""
    generator = Pixels(shape)
    latents = torch.rand(ROWS, prod(shape), generator=torch.Generator().manual_seed(1))
    return generator.render(latents)


# The far ends


class Places(nn.Module):
    """Reads a stimulus place by place, along the axes that it expects."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, stimuli: torch.Tensor) -> torch.Tensor:
        places = np.ndindex(self.shape)
        return torch.stack([stimuli[(slice(None), *place)] for place in places], 1)


def read_places(shape: Shape, stimuli: np.ndarray) -> np.ndarray:
    """The same in numpy."""
    assert stimuli.shape[1:] == shape
    return np.stack([stimuli[(slice(None), *place)] for place in np.ndindex(shape)], 1)


JSON_PROGRAM = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["shape"] != SHAPE:
        print(json.dumps({"error": f"got {request['shape']}"}), flush=True)
    else:
        print(json.dumps({"scores": request["stimuli"]}), flush=True)
"""
FRAMES_PROGRAM = """
import struct, sys
while header := sys.stdin.buffer.read(8):
    rows, numbers = struct.unpack("<II", header)
    sys.stdout.buffer.write(header + sys.stdin.buffer.read(4 * rows * numbers))
    sys.stdout.buffer.flush()
"""


def scores(request: dict[str, Any], *, shape: Shape, channels_last: bool) -> dict[str, Any]:
    """What an API answers that takes PNG files or lists: the numbers in them."""
    image = request["image"]
    if isinstance(image, str):
        file = Image.open(io.BytesIO(base64.b64decode(image)))
        assert file.mode == {1: "L", 3: "RGB", 4: "RGBA"}[shape[0]]
        assert file.size == (shape[2], shape[1])
        numbers = np.atleast_3d(np.asarray(file)).transpose(2, 0, 1) / 255
    else:
        numbers = np.array(image)
        if channels_last:
            numbers = np.moveaxis(numbers, -1, CHANNELS_AT[len(shape)])
    return {"scores": read_places(shape, numbers[None])[0].tolist()}


def far_end(shape: Shape) -> Function:
    """What stands behind the remote oracle."""
    return Function(partial(read_places, shape), shape, batch_size=3)


@contextmanager
def serving(**oracles: Oracle) -> Iterator[str]:
    """The address of a server of ours with these oracles."""
    catalogue = Catalogue()
    for name, oracle in oracles.items():
        catalogue.add_oracle(name, oracle)
    config = Config("localhost:0", store=":memory:", device="cpu", catalogue=catalogue)
    with running(config) as address:
        yield address


# The transports


@dataclass(frozen=True)
class Transport:
    """A way of a stimulus to a model.

    Attributes:
        opened: the oracle with `Places` at its far end, while the context lasts.
        layer: in which the numbers are.
        error: the most that a number may be off.
        carries: whether it is for stimuli of a shape.
    """

    opened: Callable[[Shape, Path], AbstractContextManager[Oracle]]
    layer: str = "scores"
    error: float = 0.0
    carries: Callable[[Shape], bool] = lambda shape: True


def torch_module(shape: Shape, folder: Path) -> AbstractContextManager[Oracle]:
    module = nn.Sequential(Places(shape))
    return nullcontext(TorchModule(module, shape, device="cpu", batch_size=4))


def function(shape: Shape, folder: Path, *, batch: bool) -> AbstractContextManager[Oracle]:
    if batch:
        return nullcontext(Function(partial(read_places, shape), shape, batch_size=2))
    return nullcontext(
        Function(lambda one: read_places(shape, one[None])[0], shape, batch=False, batch_size=2)
    )


class Turned(Places):
    """Takes the channels on the last axis."""

    def forward(self, stimuli: torch.Tensor) -> torch.Tensor:
        axes = len(self.shape)
        return super().forward(stimuli.movedim(axes, 1 + CHANNELS_AT[axes]))


CHANNELS_AT = {1: 0, 2: 0, 3: 0, 4: 1}
"""By the number of axes."""


def onnx(
    shape: Shape, folder: Path, *, channels_last: bool = False
) -> AbstractContextManager[Oracle]:
    pytest.importorskip("onnxruntime")
    file = io.BytesIO()
    module = (Turned if channels_last else Places)(shape).eval()
    example = torch.rand(2, *shape)
    if channels_last:
        example = example.movedim(1 + CHANNELS_AT[len(shape)], -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of the newer exporter
        torch.onnx.export(
            module,
            (example,),
            file,  # type: ignore[arg-type]  # the older exporter writes to files too
            dynamo=False,
            input_names=["x"],
            output_names=["scores"],
            dynamic_axes={"x": {0: "n"}, "scores": {0: "n"}},
        )
    oracle = Onnx(file.getvalue(), batch_size=2, channels_last=channels_last)
    return nullcontext(oracle)


def sklearn(shape: Shape, folder: Path) -> AbstractContextManager[Oracle]:
    linear_model = pytest.importorskip("sklearn.linear_model")
    numbers = prod(shape)
    estimator = linear_model.LinearRegression().fit(np.eye(numbers), np.eye(numbers))
    estimator.coef_, estimator.intercept_ = np.eye(numbers), np.zeros(numbers)
    return nullcontext(Sklearn(estimator, shape, batch_size=2))


def snn(shape: Shape, folder: Path) -> AbstractContextManager[Oracle]:
    snntorch = pytest.importorskip("snntorch")
    net = nn.Sequential(Places(shape), snntorch.Leaky(beta=0.5, init_hidden=True))
    return nullcontext(Snn(net, shape, steps=2, device="cpu", batch_size=2))


@contextmanager
def subprocess(shape: Shape, folder: Path, *, protocol: str) -> Iterator[Oracle]:
    program = folder / "program.py"
    text = JSON_PROGRAM if protocol == "json" else FRAMES_PROGRAM
    program.write_text(text.replace("SHAPE", str(list(shape))))
    command = (sys.executable, "-S", str(program))
    oracle = Subprocess(command, shape, units=prod(shape), protocol=protocol, batch_size=2)
    yield oracle
    oracle.close()


@contextmanager
def http(
    shape: Shape, folder: Path, *, image: str, channels_last: bool = False
) -> Iterator[Oracle]:
    pytest.importorskip("httpx")
    with json_api(partial(scores, shape=shape, channels_last=channels_last)) as address:
        oracle = Http(
            f"http://{address}", shape, units=prod(shape), image=image, channels_last=channels_last
        )
        yield oracle
        oracle.close()


@contextmanager
def remote(shape: Shape, folder: Path, *, dtype: str, streamed: bool) -> Iterator[Oracle]:
    with pytest.MonkeyPatch.context() as patch, serving(far=far_end(shape)) as address:
        oracle = Remote(address, "far", dtype=dtype)
        if streamed:
            patch.setattr(chunks, "STREAM_ABOVE_BYTES", 0)
            patch.setattr(chunks, "CHUNK_BYTES", 28)  # ends in the middle of everything
        yield oracle
        oracle.close()


@contextmanager
def inference_protocol(shape: Shape, folder: Path) -> Iterator[Oracle]:
    with inference_model(partial(read_places, shape), shape, prod(shape)) as address:
        oracle = InferenceProtocol(address, MODEL, batch_size=2)
        yield oracle
        oracle.close()


def is_picture(shape: Shape) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4)


TRANSPORTS: dict[str, Transport] = {
    "torch_module": Transport(torch_module, layer="0"),
    "onnx": Transport(onnx),
    "onnx, channels last": Transport(partial(onnx, channels_last=True)),
    "function": Transport(partial(function, batch=True)),
    "function, one by one": Transport(partial(function, batch=False)),
    "sklearn": Transport(sklearn, layer="predict"),
    "snn": Transport(snn, layer="0"),
    "subprocess, JSON lines": Transport(partial(subprocess, protocol="json")),
    "subprocess, frames": Transport(partial(subprocess, protocol="frames")),
    "http, PNG": Transport(partial(http, image="png"), error=STEP, carries=is_picture),
    "http, numbers": Transport(partial(http, image="floats")),
    "http, numbers, channels last": Transport(partial(http, image="floats", channels_last=True)),
    "inference_protocol": Transport(inference_protocol),
    "remote": Transport(partial(remote, dtype="float32", streamed=False)),
    "remote, streamed": Transport(partial(remote, dtype="float32", streamed=True)),
    "remote, uint8": Transport(partial(remote, dtype="uint8", streamed=False), error=STEP),
    "remote, uint8, streamed": Transport(partial(remote, dtype="uint8", streamed=True), error=STEP),
}
"""A new transport is one more entry."""

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


# A study of each, over the wire twice: client -> server -> the model's server


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
