"""Every tensor of an ONNX graph reads what torch reads."""

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, OracleFailed, UnknownUnit
from blackbox_am.oracles.onnx import Onnx, _sessions
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.testing.oracles import OracleContract
from tests.oracles.onnx.graphs import Export, Net, graph, of, units, value

ASSETS = Path(__file__).parents[4] / "shared" / "assets"


@pytest.fixture(scope="module")
def stimuli() -> torch.Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def layers(oracle: Onnx) -> dict[str, LayerInfo]:
    return {layer.name: layer for layer in oracle.describe().layers}


def test_describes_tensors_in_the_order_of_the_computation(export: Export) -> None:
    oracle = of(export(Net(), 3, 8, 8), labels=("a", "b", "c", "d", "e"))
    info = oracle.describe()
    assert info.capabilities == FORWARD
    assert info.stimulus_shape == (3, 8, 8)
    assert info.deterministic
    # The exporter folded the batch norm into the convolution.
    assert [(layer.name, layer.kind) for layer in info.layers] == [
        ("conv.Conv_output_0", "conv"),
        ("Relu_output_0", "activation"),
        ("ReduceMean_output_0", "other"),
        ("scores", "linear"),
    ]
    assert info.layers[1] == LayerInfo(
        "Relu_output_0", "activation", (4, 8, 8), ("unit", "height", "width"), True
    )
    assert info.layers[3].labels == ("a", "b", "c", "d", "e")
    assert not info.layers[2].labels


@pytest.mark.parametrize("rows", [None, 1, 3])
def test_reads_what_torch_reads(rows: int | None, export: Export, stimuli: torch.Tensor) -> None:
    net = Net().eval()
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    oracle = of(export(net, 3, 8, 8, rows=rows), mean=mean, std=std)
    torch_oracle = TorchModule(net, (3, 8, 8), mean, std, device="cpu")
    conv = "conv.Conv_output_0"
    answer = oracle.observe(
        stimuli, units("scores:0", f"{conv}:1", f"{conv}:2@center", f"{conv}:3!max", "scores!sum")
    )
    expected = torch_oracle.observe(
        stimuli, units("fc:0", "norm:1", "norm:2@center", "norm:3!max", "fc!sum")
    )
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


def test_a_unit_reads_alike_to_the_last_bit_beside_any_other(
    export: Export, stimuli: torch.Tensor
) -> None:
    oracle = of(export(Net(), 3, 8, 8))
    every = [Unit(found.name, i) for found in oracle.describe().layers for i in range(found.units)]
    together = oracle.observe(stimuli, every)
    for column, unit in enumerate(every):
        assert torch.equal(oracle.observe(stimuli, [unit])[:, 0], together[:, column])


def test_only_the_part_of_the_graph_up_to_the_layer_is_run(export: Export) -> None:
    oracle = of(export(Net(), 3, 8, 8))
    cut = onnx.load_model_from_string(oracle._graph.ending_at(["/conv/Conv_output_0"]))
    assert [node.op_type for node in cut.graph.node] == ["Conv"]
    assert not [tensor for tensor in cut.graph.initializer if "fc" in tensor.name]
    assert len(oracle._graph.model.graph.node) > 1


class TestQuantised(OracleContract):
    """int8, by scales that ONNX Runtime chooses while it runs."""

    @pytest.fixture
    def oracle(self, export: Export, tmp_path: Path) -> Onnx:
        return of(quantised(export(Net(), 3, 8, 8), tmp_path))


def quantised(model: bytes, folder: Path) -> Path:
    (folder / "float.onnx").write_bytes(model)
    quantize_dynamic(folder / "float.onnx", folder / "int8.onnx", weight_type=QuantType.QUInt8)
    return folder / "int8.onnx"


def test_a_dynamically_quantised_row_does_not_depend_on_its_neighbours(
    export: Export, tmp_path: Path, stimuli: torch.Tensor
) -> None:
    oracle = of(quantised(export(Net(), 3, 8, 8), tmp_path))
    asked = units(*(f"scores:{i}" for i in range(5)))
    together = oracle.observe(torch.cat([stimuli, 0.01 * stimuli]), asked)
    for row in range(len(stimuli)):
        assert torch.equal(oracle.observe(stimuli[row : row + 1], asked)[0], together[row])
    exact = of(export(Net(), 3, 8, 8)).observe(stimuli, asked)
    torch.testing.assert_close(together[:4], exact, rtol=0.1, atol=0.05)
    assert not torch.equal(together[:4], exact)
    assert any(layer.kind == "conv" for layer in oracle.describe().layers)


def test_inputs_of_bytes_get_stimuli_times_255() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
    ]
    shape = ["n", 2, 2, 3]
    model = graph(nodes, [value("x", shape, TensorProto.UINT8)], [value("flat", ["n", 12])])
    oracle = of(model, channels_last=True)
    assert oracle.describe().stimulus_shape == (3, 2, 2)
    x = torch.rand(2, 3, 2, 2)
    answer = oracle.observe(x, units(*(f"flat:{i}" for i in range(12))))
    assert torch.equal(answer, (x * 255).round().permute(0, 2, 3, 1).flatten(1))
    with pytest.raises(InvalidSpec, match="uint8 without mean and std"):
        of(model, channels_last=True, mean=(0.5,)).describe()


def test_tokens_and_series() -> None:
    torch.manual_seed(0)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [8, 4], torch.rand(32).tolist())
    model = onnx.load_model_from_string(
        graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            [value("x", ["n", 5, 8])],
            [value("y", ["n", 5, 4])],
        )
    )
    model.graph.initializer.append(weights)
    x = torch.rand(3, 5, 8)
    plain, told = of(model), of(model, class_token=True)
    assert layers(plain)["y"].axes == ("token", "unit")
    each = plain.observe(x, units(*(f"y:1@{token}" for token in range(5))))
    torch.testing.assert_close(plain.observe(x, units("y:1"))[:, 0], each.mean(1))
    answer = told.observe(x, units("y:1", "y:1@cls"))
    torch.testing.assert_close(answer[:, 0], each[:, 1:].mean(1))
    assert torch.equal(answer[:, 1], each[:, 0])
    with pytest.raises(UnknownUnit, match="no class token"):
        plain.observe(x, units("y:1@cls"))


def test_series_have_units_and_a_length(export: Export) -> None:
    oracle = of(export(nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU()), 2, 12))
    assert layers(oracle)["scores"].axes == ("unit", "length")


def test_what_only_a_run_can_tell_is_measured() -> None:
    # The shape comes out of an If: inference leaves it open.
    one, zero = (
        helper.make_tensor(n, TensorProto.FLOAT, [1], [v]) for n, v in (("a", 2), ("b", 3))
    )
    branches = [
        helper.make_graph(
            [
                helper.make_node("Constant", [], ["c"], value=one),
                helper.make_node("Mul", ["x", "c"], ["m"]),
                helper.make_node("Identity", ["m"], [f"out{i}"]),
            ],
            f"branch{i}",
            [],
            [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, None)],
        )
        for i, one in enumerate((one, zero))
    ]
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node(
            "Constant", [], ["half"], value=helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
        ),
        helper.make_node("Greater", ["top", "half"], ["large"]),
        helper.make_node(
            "If", ["large"], ["chosen"], then_branch=branches[0], else_branch=branches[1]
        ),
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("StringNormalizer", ["words"], ["lower"]),
    ]
    text = helper.make_tensor("words", TensorProto.STRING, [1], [b"A"])
    model = onnx.load_model_from_string(
        graph(
            nodes,
            [value("x", [4, 3])],
            [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None)],
        )
    )
    model.graph.initializer.append(text)
    oracle = of(model)
    assert layers(oracle)["chosen"].shape == (3,)
    assert "lower" not in layers(oracle)
    assert "large" not in layers(oracle)
    x = torch.rand(4, 3) / 4
    assert torch.equal(oracle.observe(x, units("chosen:1"))[:, 0], x[:, 1] * 3)


def test_one_number_a_row_is_a_layer_of_one_unit() -> None:
    node = helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0)
    model = graph([node], [value("x", ["n", 3])], [value("label", ["n"], TensorProto.INT64)])
    x = torch.tensor([[0.1, 0.9, 0.3], [0.8, 0.1, 0.2]])
    assert of(model).observe(x, units("label:0")).tolist() == [[1.0], [0.0]]


def test_random_graphs_say_that_they_are(export: Export) -> None:
    nodes = [
        helper.make_node("RandomUniformLike", ["x"], ["noise"]),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    model = graph(nodes, [value("x", ["n", 3])], [value("y", ["n", 3])])
    assert not of(model).describe().deterministic


def test_rows_that_the_export_has_left_inside() -> None:
    # An open first axis, and a class token that somebody has copied for two rows.
    model = onnx.load_model_from_string(
        graph(
            [helper.make_node("Concat", ["x", "token"], ["y"], axis=1)],
            [value("x", ["n", 3])],
            [value("y", ["n", 4])],
        )
    )
    model.graph.initializer.append(helper.make_tensor("token", TensorProto.FLOAT, [2, 1], [5, 5]))
    x = torch.rand(5, 3)
    with pytest.raises((OracleFailed, InvalidSpec), match="rows"):
        of(model).observe(x, units("y:0"))
    answer = of(model, rows=2).observe(x, units("y:0", "y:3"))
    assert torch.equal(answer, torch.stack([x[:, 0], torch.full((5,), 5.0)], dim=1))


def test_failures_of_the_runtime(export: Export) -> None:
    gather = helper.make_node("Gather", ["table", "whole"], ["y"])
    cast = helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64)
    model = onnx.load_model_from_string(
        graph([cast, gather], [value("x", ["n", 2])], [value("y", ["n", 2])])
    )
    model.graph.initializer.append(helper.make_tensor("table", TensorProto.FLOAT, [2], [0.0, 1.0]))
    oracle = of(model, std=(0.1,))
    with pytest.raises(OracleFailed, match=r"on inputs of shape \(3, 2\).*out of data bounds"):
        oracle.observe(torch.ones(1, 2), units("y:0"))


def test_sessions_are_opened_once(export: Export, stimuli: torch.Tensor) -> None:
    oracle = of(export(Net(), 3, 8, 8))
    oracle.describe()
    opened = []
    real = oracle._open
    vars(oracle)["_open"] = lambda model, **how: opened.append(how) or real(model, **how)
    threads = [
        threading.Thread(target=oracle.observe, args=(stimuli, units("scores:0"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


def test_many_layers_are_read_in_one_run(
    export: Export, stimuli: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    deep = nn.Sequential(
        *(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()) for _ in range(7)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    model = export(deep, 3, 8, 8)
    runs = []
    real = Onnx._run
    monkeypatch.setattr(Onnx, "_run", lambda self, *args: runs.append(1) or real(self, *args))
    for oracle, most in ((of(model), 2), (of(model, optimised=False), 1)):
        names = [layer.name for layer in oracle.describe().layers]
        inner, scores = names[:12], names[-1]
        assert len(set(inner)) == 12
        asked = [Unit(name, index) for name in inner for index in (2, 0)]
        runs.clear()
        together = oracle.observe(stimuli, asked)
        assert len(runs) == 1
        runs.clear()
        with_scores = oracle.observe(stimuli, [*asked, Unit(scores, 1)])
        assert len(runs) == most
        assert torch.equal(with_scores[:, :-1], together)
        for column, unit in enumerate([*asked, Unit(scores, 1)]):
            assert torch.equal(oracle.observe(stimuli, [unit])[:, 0], with_scores[:, column])


def test_open_sessions_are_bounded(
    export: Export, stimuli: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = of(export(Net(), 3, 8, 8))
    names = [layer.name for layer in oracle.describe().layers]
    opened = []
    real = oracle._open
    vars(oracle)["_open"] = lambda model, **how: opened.append(model) or real(model, **how)

    def reads(*places: int) -> None:
        oracle.observe(stimuli, [Unit(names[place], 0) for place in places])

    monkeypatch.setattr(_sessions, "MOST", 2)
    for places in ((0,), (1,), (0,), (2,), (0,)):  # the third drops the second
        reads(*places)
    assert len(opened) == 3
    assert len(oracle._sessions) == 2
    reads(1)
    assert len(opened) == 4
    monkeypatch.setattr(_sessions, "MOST_BYTES", 1)
    reads(0, 1)
    assert len(oracle._sessions) == 1


@pytest.mark.parametrize(
    ("every", "right"), [(10, 93), pytest.param(1, 912, marks=pytest.mark.slow)]
)
def test_resnet20_of_the_assets(
    export: Export,
    resnet20: nn.Module,
    cifar_test: tuple[torch.Tensor, np.ndarray],
    every: int,
    right: int,
) -> None:
    normalisation = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    oracle = of(export(resnet20, 3, 32, 32), **normalisation)
    x, classes = (values[::every] for values in cifar_test)
    asked = units(*(f"scores:{i}" for i in range(10)))
    scores = torch.cat([oracle.observe(piece, asked) for piece in x.split(100)])
    assert (scores.argmax(1).numpy() == classes).sum() == right
    reference = TorchModule(resnet20, (3, 32, 32), device="cpu", **normalisation)
    heads = units(*(f"head:{i}" for i in range(10)))
    torch.testing.assert_close(
        scores[:100], reference.observe(x[:100], heads), rtol=1e-3, atol=1e-3
    )


def test_what_a_convolution_reads_has_its_channels_in_front() -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 3, 3], torch.rand(108).tolist())
    made = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["turned", "w"], ["y"]),
        ],
        "last",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 6, 6])],
        [weights],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()
    layers = {layer.name: layer for layer in Onnx(model).describe().layers}
    assert layers["turned"].shape == (3, 8, 8)
    assert layers["turned"].axes == ("unit", "height", "width")
