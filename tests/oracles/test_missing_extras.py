"""Oracles that need an optional package say which `pip install` brings it."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CASES = {
    "onnx: the graph": ("onnx", ["onnx"]),
    "onnx: the runtime": ("onnx", ["onnxruntime"]),
    "http: the client": ("http", ["httpx"]),
    "http: the expressions": ("http", ["jmespath"]),
    "sklearn": ("sklearn", ["skops", "sklearn"]),
    "snn": ("snn", ["snntorch"]),
    "function: transformers": ("hf", ["transformers"]),
}

PROGRAM = """
import json, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

cases, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
blocked = set()

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, str(folder))

import torch
from blackbox_am import plugins
from blackbox_am.core.units import Unit

(folder / "spiking.py").write_text("import snntorch\\nnet = None\\n")
(folder / "scored.py").write_text("from transformers import ViTModel\\nscore = ViTModel\\n")
http = {"url": "http://127.0.0.1:9/x", "stimulus_shape": [4], "units": 1, "image": "floats"}
parameters = {
    "onnx: the graph": ("onnx", {"model": str(folder / "model.onnx")}),
    "onnx: the runtime": ("onnx", {"model": str(folder / "model.onnx")}),
    "http: the client": ("http", http),
    "http: the expressions": ("http", http),
    "sklearn": ("sklearn", {"estimator": str(folder / "model.skops"), "stimulus_shape": [4]}),
    "snn": ("snn", {"model": "spiking:net", "stimulus_shape": [4], "steps": 2}),
    "function: transformers": ("function", {
        "function": "scored:score", "stimulus_shape": [4], "labels": ["a"]}),
}
found = {}
for name, (_, packages) in cases.items():
    blocked.clear()
    blocked.update(packages)
    for module in [m for m in sys.modules if m.partition(".")[0] in blocked]:
        del sys.modules[module]
    try:
        oracle = plugins.oracles.build(*parameters[name])
        info = oracle.describe()
        stimuli = torch.zeros(1, *info.stimulus_shape)
        oracle.observe(stimuli, [Unit(info.layers[0].name, 0)])
    except Exception as error:
        found[name] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""

GRAPH = """
import sys
from onnx import TensorProto, helper, save
ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
save(model, sys.argv[1])
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What each oracle raised in a process that cannot import its package."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("extras")
    graph = [sys.executable, "-c", GRAPH, str(folder / "model.onnx")]
    subprocess.run(graph, check=True)
    command = [sys.executable, "-c", PROGRAM, json.dumps(CASES), str(folder)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize("case", CASES)
def test_a_missing_extra_says_what_to_install(errors, case) -> None:
    extra, packages = CASES[case]
    kind, message = errors[case]
    assert kind == "MissingExtra", message
    assert any(repr(package) in message for package in packages)
    assert message.endswith(f"install it with: pip install 'blackbox-am[{extra}]'")


def test_every_extra_exists() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    assert {extra for extra, _ in CASES.values()} <= set(extras)
