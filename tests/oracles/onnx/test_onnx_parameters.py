"""Parameters of ONNX, and models that are refused."""

import sys
from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from blackbox_am import plugins
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound
from blackbox_am.service.config import load_config
from tests.oracles.onnx.graphs import Export, Net, graph, of, units, value


def test_open_lengths_are_given_by_the_operator(export: Export) -> None:
    node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
    model = graph([node], [value("x", ["n", 3, "h", "w"])], [value("y", ["n", 3, 1, 1])])
    assert of(model, stimulus_shape=(3, 6, 5)).describe().stimulus_shape == (3, 6, 5)
    with pytest.raises(InvalidSpec, match=r"\(3, any, any\), got none"):
        of(model).describe()
    with pytest.raises(InvalidSpec, match=r"\(3, any, any\), got \(1, 6, 5\)"):
        of(model, stimulus_shape=(1, 6, 5)).describe()


def test_graphs_that_are_no_oracle() -> None:
    add = helper.make_node("Add", ["x", "z"], ["y"])
    two = graph([add], [value("x", ["n", 3]), value("z", ["n", 3])], [value("y", ["n", 3])])
    with pytest.raises(InvalidSpec, match="one input, the stimuli, got 'x', 'z'"):
        of(two).describe()
    whole = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    with pytest.raises(InvalidSpec, match=r"no tensor .* has one entry a stimulus"):
        of(graph([whole], [value("x", ["n", 3])], [value("y", [])])).describe()
    words = helper.make_node("Identity", ["x"], ["y"])
    strings = [value(name, ["n", 3], TensorProto.STRING) for name in "xy"]
    with pytest.raises(InvalidSpec, match="takes string; expected float32"):
        of(graph([words], strings[:1], strings[1:])).describe()
    tokens = [value(name, ["n", 3], TensorProto.INT64) for name in "xy"]
    with pytest.raises(InvalidSpec, match=r"takes int64; .* embeddings or one-hot rows of tokens"):
        of(graph([words], tokens[:1], tokens[1:])).describe()


def test_rows_of_a_graph_that_has_its_own(export: Export) -> None:
    with pytest.raises(InvalidSpec, match="takes 3 rows at a time, got 2"):
        of(export(nn.Flatten(), 3, 8, 8, rows=3), rows=2).describe()


def test_labels_that_fit_no_output(export: Export) -> None:
    with pytest.raises(InvalidSpec, match="no output of the graph has 2 units"):
        of(export(Net(), 3, 8, 8), labels=("a", "b")).describe()


def test_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file .*absent\.onnx"):
        of(str(tmp_path / "absent.onnx")).describe()
    (tmp_path / "text.onnx").write_text("weights")
    for model in (str(tmp_path / "text.onnx"), b"", 3):
        with pytest.raises(InvalidSpec, match="ONNX model"):
            of(model).describe()
    unknown = graph(
        [helper.make_node("NoSuchOp", ["x"], ["y"])], [value("x", ["n", 3])], [value("y", ["n", 3])]
    )
    with pytest.raises(InvalidSpec, match=r"cannot run the bytes given.*NoSuchOp"):
        of(unknown).describe()


def test_providers(export: Export) -> None:
    model = export(nn.Flatten(), 3, 8, 8)
    x = torch.rand(1, 3, 8, 8)
    with pytest.raises(InvalidSpec, match="no 'CPUProvider'; did you mean 'CPUExecutionProvider'"):
        of(model, providers=("CPUProvider",)).observe(x, units("scores:0"))
    with pytest.raises(InvalidSpec, match="not among the providers"):
        of(model, provider_options={"CUDAExecutionProvider": {}})
    arena = {"CPUExecutionProvider": {"arena_extend_strategy": "kSameAsRequested"}}
    assert torch.equal(
        of(model, provider_options=arena).observe(x, units("scores:0")), x[..., 0, 0, :1]
    )


def test_a_missing_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, export: Export
) -> None:
    model = export(nn.Flatten(), 3, 8, 8)
    oracle = of(model)
    oracle.describe()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'blackbox-am\[onnx\]'"):
        oracle.observe(torch.rand(1, 3, 8, 8), units("scores:0"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'blackbox-am\[onnx\]'"):
        of(model).describe()


def test_an_operator_writes_it_in_the_configuration(export: Export, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(export(Net(), 3, 8, 8))
    (tmp_path / "server.toml").write_text(
        f'[oracles.net]\nkind = "onnx"\nmodel = "{tmp_path / "net.onnx"}"\nmean = [0.5]\n'
        'std = [0.25]\nthreads = 1\nproviders = ["CPUExecutionProvider"]\n'
    )
    oracle = load_config(tmp_path / "server.toml").catalogue.oracle("net")
    assert oracle.describe().layers[-1].name == "scores"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"threads": -1}, "threads"),
        ({"rows": 0}, "rows"),
        ({"providers": ()}, "providers"),
        ({"stimulus_shape": (3, 0)}, "stimulus_shape"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("onnx", {"model": "net.onnx", **parameters})
