"""`bench oracle` (d): how many test images a ResNet-20 gets right behind each kind of oracle.

It is one model, so it is one number: a kind that gets another one turns, rounds or mixes up what
it carries.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from blackbox_am.bench.far_side import CLASSES, FarSide
from blackbox_am.bench.measurement import Measurement
from blackbox_am.bench.problems import MEAN, STD, as_stimuli, resnet20
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import MissingExtra
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.testing.inference_model import MODEL, OUTPUT

Say = Callable[[str], None]
Build = Callable[[Path, ExitStack], tuple[Oracle, str]]

FILES = ("cifar10_resnet20.safetensors", "cifar10_test_1000.npz")
"""What is needed of the assets."""
EXPECTED = 912
"""Right of the 1,000 test images, by the card of the weights."""
BATCH = 250


def missing(assets: Path) -> list[str]:
    """What the assets lack of `FILES`."""
    return [name for name in FILES if not (assets / name).is_file()]


def resnet(assets: Path, images: int, say: Say) -> list[Measurement]:
    """(d) for the first `images` of the test images, of assets that lack nothing."""
    with np.load(assets / FILES[1]) as file:
        pixels, labels = file["x"][:images], file["y"][:images]
    stimuli = as_stimuli(pixels)
    lines: list[Measurement] = []
    for name, build in KINDS.items():
        say(f"(d) {name}")
        with ExitStack() as stack:
            try:
                oracle, layer = build(assets, stack)
                oracle.describe()
            except MissingExtra as error:
                say(f"(d) {name}: left out: {error.message}")
                continue
            units = [Unit(layer, index) for index in range(CLASSES)]
            started = time.perf_counter()
            with torch.no_grad():
                answers = [oracle.observe(batch, units) for batch in torch.split(stimuli, BATCH)]
            seconds = time.perf_counter() - started
            oracle.close()
        right = int((torch.cat(answers).argmax(1).numpy() == labels).sum())
        aim = EXPECTED if images == 1000 else lines[0].value if lines else right
        lines.append(
            Measurement(
                f"(d) {name}, {images / seconds:.0f} rows/s", right, f"of {images} right", aim,
                right / aim if aim else np.nan, f"= {aim:g}", right == aim,
            )
        )  # fmt: skip
    return lines


def _torch_module(assets: Path, stack: ExitStack) -> tuple[Oracle, str]:
    del stack
    return resnet20(assets), "head"


def _onnx(assets: Path, stack: ExitStack) -> tuple[Oracle, str]:
    del stack
    return Onnx(
        _exported(resnet20(assets).model), (3, 32, 32), MEAN, STD, batch_size=BATCH
    ), "scores"


def _remote(assets: Path, stack: ExitStack) -> tuple[Oracle, str]:
    end = stack.enter_context(FarSide("service", "32", "1", str(assets)))
    return Remote(end.address, "resnet20"), "head"


def _http(assets: Path, stack: ExitStack) -> tuple[Oracle, str]:
    end = stack.enter_context(FarSide("api", str(assets)))
    template = {"images": "$images"}
    url = f"http://{end.address}/"
    return Http(url, (3, 32, 32), units=CLASSES, template=template, batch_size=50), "scores"


def _inference_protocol(assets: Path, stack: ExitStack) -> tuple[Oracle, str]:
    end = stack.enter_context(FarSide("inference", str(assets)))
    return InferenceProtocol(end.address, MODEL, batch_size=BATCH), OUTPUT


KINDS: dict[str, Build] = {
    "torch_module": _torch_module,
    "onnx": _onnx,
    "remote": _remote,
    "http": _http,
    "inference_protocol": _inference_protocol,
}
"""How each kind gets the model, and in which layer of it the scores are."""


def _exported(model: torch.nn.Module) -> bytes:
    """The model as ONNX, for any number of rows."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch.onnx will do one day
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, 32, 32),),
            file,  # type: ignore[arg-type]  # the older exporter writes to files too
            dynamo=False,
            input_names=["stimuli"],
            output_names=["scores"],
            dynamic_axes={"stimuli": {0: "rows"}, "scores": {0: "rows"}},
        )
    return file.getvalue()
