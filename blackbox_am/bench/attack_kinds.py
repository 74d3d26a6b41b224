"""The kinds of model of `bench attacks`: a vision transformer, a network of 8-bit integers, an API
over HTTP, and a forest that tells labels.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from blackbox_am import zoo
from blackbox_am.attacks.local import attack
from blackbox_am.attacks.results import Outcome
from blackbox_am.bench.attack_runs import stop_queries
from blackbox_am.bench.measurement import Measurement
from blackbox_am.bench.oracle_kinds import exported
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.units import Unit
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.testing.json_api import json_api
from blackbox_am.zoo.catalogue import entry
from blackbox_am.zoo.loading import load_classifier

KINDS = ("vit", "int8", "api", "forest")
CNN = "cifar_cnn"
SHAPE = (3, 32, 32)
BEST = 5
"""Classes that the API tells."""


@dataclass(frozen=True)
class Kind:
    """A model to attack with the choice of `auto`.

    Attributes:
        name: one of `KINDS`.
        oracle: the model, as `attack` takes it.
        inputs: (N, *input).
        eps: radius of the L-infinity ball.
    """

    name: str
    oracle: Any
    inputs: NDArray[Any]
    eps: float


def kinds(names: tuple[str, ...], count: int) -> Iterator[Kind]:
    """The models of these names, with at most `count` inputs each."""
    pictures = np.moveaxis(np.load(zoo.path("probe_images"))["x"], -1, 1)
    spread = pictures[:: max(1, len(pictures) // count)][:count]
    if "vit" in names:
        yield Kind("vit", "cifar_vit", spread, 8 / 255)
    if "int8" in names:
        yield Kind("int8", _int8(), spread, 8 / 255)
    if "api" in names:
        with _api() as api:
            yield Kind("api", api, spread, 8 / 255)
    if "forest" in names:
        yield Kind("forest", *_forest(count), 0.1)


def _int8() -> Onnx:
    """The shipped network with weights and activations of 8 bits, in ONNX Runtime."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        first.write_bytes(exported(load_classifier(CNN)))
        quantize_dynamic(first, second, weight_type=QuantType.QUInt8)
        card = entry(CNN)
        return Onnx(second.read_bytes(), SHAPE, card.mean, card.std)


@contextmanager
def _api() -> Iterator[Http]:
    """The shipped network behind an HTTP API, which gets a PNG file and tells its best classes with
    probabilities of two decimals.
    """
    model = Catalogue.default().oracle(CNN)
    units = [Unit("output", index) for index in range(10)]

    def answer(request: Any) -> Any:
        picture = np.array(Image.open(io.BytesIO(base64.b64decode(request["image"]))))
        stimulus = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        shares = model.observe(stimulus, units).softmax(1)[0].tolist()
        best = sorted(range(len(shares)), key=lambda place: -shares[place])[:BEST]
        return {"classes": [{"name": str(i), "score": round(shares[i], 2)} for i in best]}

    with ExitStack() as opened:
        address = opened.enter_context(json_api(answer))
        api = Http(
            url=f"http://{address}/",
            stimulus_shape=SHAPE,
            labels=tuple(str(unit.index) for unit in units),
            scores="classes[].[name, score]",
            answer="top",
            missing=0.0,
            model=CNN,
        )
        opened.callback(api.close)
        yield api


def _forest(count: int) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], NDArray[Any]]:
    """A random forest that tells only its label, and rows on which it was not fitted."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    rows, classes = load_breast_cancer(return_X_y=True)
    low, high = rows.min(0), rows.max(0)
    rows = ((rows - low) / (high - low)).astype(np.float32)
    half = len(rows) // 2
    forest = RandomForestClassifier(20, random_state=0).fit(rows[half:], classes[half:])

    def labels(given: NDArray[Any]) -> NDArray[Any]:
        told: NDArray[Any] = np.eye(2)[forest.predict(given)]
        return told

    return labels, rows[:half][:count]


def lines_of(kind: Kind, budget: int) -> list[Measurement]:
    """The measurements of one attack, whose labels are the model's own answers."""
    result = attack(oracle=kind.oracle, images=kind.inputs, eps=kind.eps, budget=budget)
    name = f"kinds: {kind.name}, {result.attack}, linf {kind.eps:.3g}"
    queries = stop_queries(result)
    success = len(result.of(Outcome.SUCCESS)) / len(queries)
    return [
        Measurement(f"{name}: success", success, unit=""),
        Measurement(f"{name}: median queries", float(np.median(queries)), ""),
        Measurement(f"{name}: rows of the model", result.spent.rows, "rows"),
    ]
