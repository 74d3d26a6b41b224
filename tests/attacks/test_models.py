"""Attacks on models of several kinds: ViT, quantised ONNX, a forest of trees, series."""

import io
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.oracles.sklearn import Sklearn
from blackbox_am.zoo.loading import probe_images

from .conftest import CLASSES, SHAPE, network


def within(result: AttackResult) -> None:
    """Every stored input lies in the ball, and every success was verified."""
    change = np.abs(result.adversarial.astype(np.float64) - result.clean.astype(np.float64))
    if result.clean.dtype == np.uint8:
        change /= 255
    assert change.max() <= result.eps * (1 + 1e-6)
    assert all(one.verified for one in result.of(Outcome.SUCCESS))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return probe_images()[0].transpose(0, 3, 1, 2)[:6]


def test_a_vision_transformer(pictures):
    result = attack(oracle="cifar_vit", images=pictures, eps=16 / 255, budget=30)
    assert result.of(Outcome.SUCCESS)
    assert result.classes[3] == "cat"
    within(result)


def test_a_model_quantised_to_8_bits(tmp_path, images):
    quantization = pytest.importorskip("onnxruntime.quantization")
    file = io.BytesIO()
    shapes = {"x": {0: "n"}, "y": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the newer exporter, which needs a package more
        torch.onnx.export(
            network(),
            (torch.zeros(1, *SHAPE),),
            file,
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=shapes,
        )
    (tmp_path / "float.onnx").write_bytes(file.getvalue())
    quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int8.onnx")
    oracle = Onnx(str(tmp_path / "int8.onnx"))
    result = attack(oracle=oracle, images=images, eps=8 / 255, budget=60)
    assert len(result.of(Outcome.SUCCESS)) >= 6
    within(result)


@pytest.mark.parametrize("layer", ["predict", "predict_proba"])
def test_a_forest_on_a_table(layer):
    """Votes of trees are steps, and a label is all that `predict` tells."""
    rows, labels = load_iris(return_X_y=True)
    low, high = rows.min(0), rows.max(0)
    forest = RandomForestClassifier(20, random_state=0).fit(rows, labels)
    oracle = Sklearn(forest, low=tuple(low), high=tuple(high))
    inputs = ((rows - low) / (high - low)).astype(np.float32)[40:110:5]
    result = attack(oracle=oracle, images=inputs, layer=layer, eps=0.3, budget=150)
    assert result.attack == ("rays" if layer == "predict" else "signhunter")
    found = result.of(Outcome.SUCCESS)
    assert len(found) >= 4
    within(result)
    told = forest.predict(low + result.adversarial.astype(np.float64) * (high - low))
    assert all(told[one.index] == one.adversarial_label != one.label for one in found)


def test_series(images):
    class Series(torch.nn.Module):
        def forward(self, x):
            return network()(x.reshape(len(x), *SHAPE))

    series = (images / 255).astype(np.float32).reshape(len(images), -1)
    result = attack(oracle=Series(), images=series, eps=8 / 255, budget=60)
    assert len(result.of(Outcome.SUCCESS)) >= 6
    assert result.scores.shape[1] == CLASSES
    within(result)
