"""`bench oracle` (d): accuracy of one ResNet-20 through each kind of oracle.

All kinds use the same model, so all must classify the same number of test images correctly. A
kind with another number changes, rounds or reorders the stimuli or the activations.
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
from blackbox_am.bench.problems import (
    MEAN,
    RESNET_FILE,
    STD,
    TEST_FILE,
    pictures,
    resnet20,
)
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

FILES = (RESNET_FILE, TEST_FILE)
"""Required files of the assets."""
EXPECTED = 912
"""Correct answers for the 1,000 test images, according to the card of the weights."""
BATCH = 250


def missing(assets: Path) -> list[str]:
    """The files of `FILES` that the assets lack."""
    return [name for name in FILES if not (assets / name).is_file()]


def resnet(assets: Path, images: int, say: Say) -> list[Measurement]:
    """Measure (d) on the first `images` test images; `assets` must have all of `FILES`."""
    stimuli, labels = (part[:images] for part in pictures(assets / TEST_FILE))
    lines: list[Measurement] = []
    for name, build in KINDS.items():
        say(f"(d) {name}")
        with ExitStack() as stack:
            try:
                oracle, layer = build(assets, stack)
                oracle.describe()
            except MissingExtra as error:
                say(f"(d) {name}: skipped: {error.message}")
                continue
            units = [Unit(layer, index) for index in range(CLASSES)]
            started = time.perf_counter()
            with torch.no_grad():
                answers = [oracle.observe(batch, units) for batch in torch.split(stimuli, BATCH)]
            seconds = time.perf_counter() - started
            oracle.close()
        right = int((torch.cat(answers).argmax(1) == labels).sum())
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
        exported(resnet20(assets).model), (3, 32, 32), MEAN, STD, batch_size=BATCH
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
"""For each kind, the function that builds the oracle and names the layer of the scores."""


def exported(model: torch.nn.Module) -> bytes:
    """The model as ONNX, for any number of rows."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # announcements of future changes of torch.onnx
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, 32, 32),),
            file,  # type: ignore[arg-type]  # the older exporter also writes to files
            dynamo=False,
            input_names=["stimuli"],
            output_names=["scores"],
            dynamic_axes={"stimuli": {0: "rows"}, "scores": {0: "rows"}},
        )
    return file.getvalue()
