"""An oracle of every kind for one function of the places of a stimulus."""

from __future__ import annotations

import base64
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
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
