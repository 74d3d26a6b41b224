"""Generators that come as a file: TorchScript, torch.export and ONNX."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound, ShapeMismatch
from blackbox_am.generators.networks._files import FromFile
from blackbox_am.generators.networks.exported import Exported
from blackbox_am.generators.networks.onnx import Onnx
from blackbox_am.generators.networks.torchscript import TorchScript
from blackbox_am.testing.generators import GeneratorContract

KINDS: dict[str, type[FromFile]] = {
    "torchscript": TorchScript,
    "exported": Exported,
    "onnx": Onnx,
}
SHAPE = (2, 3, 4)


class Net(nn.Module):
    """Latents (N, 6, 1, 1) to pictures in [-1, 1], as GANs of old make them."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(6, 24)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.tanh(self.linear(latents.flatten(1))).reshape(-1, *SHAPE)


def net(scale: float = 1.0) -> Net:
    torch.manual_seed(0)
    return Net(scale).eval()


def write(kind: str, path: Path, model: nn.Module, *, fixed: bool = False) -> str:
    latents = torch.zeros(4, 6, 1, 1)
    rows = None if fixed else torch.export.Dim("rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if kind == "torchscript":
            torch.jit.save(torch.jit.trace(model, latents), path)
        elif kind == "exported":
            program = torch.export.export(model, (latents,), dynamic_shapes=({0: rows},))
            torch.export.save(program, path)
        else:
            _write_onnx(path, model, fixed=fixed)
    return str(path)


def _write_onnx(path: Path, model: nn.Module, *, fixed: bool) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    tensors = [
        onnx.numpy_helper.from_array(array, name)
        for name, array in (
            ("weight", model.linear.weight.detach().numpy()),
            ("bias", model.linear.bias.detach().numpy()),
            ("shape", np.array([-1, *SHAPE])),
            ("scale", np.array(model.scale, np.float32)),
        )
    ]
    nodes = [
        helper.make_node("Flatten", ["z"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["hidden"], transB=1),
        helper.make_node("Tanh", ["hidden"], ["tanh"]),
        helper.make_node("Mul", ["tanh", "scale"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "shape"], ["x"]),
    ]
    rows = 4 if fixed else "rows"
    graph = helper.make_graph(
        nodes,
        "generator",
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [rows, 6, 1, 1])],
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [rows, *SHAPE])],
        tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def make(kind: str, folder: Path) -> Callable[..., FromFile]:
    """Makes generators of files that are written once, as an export takes its time."""

    def made(scale: float = 1.0, *, fixed: bool = False, **parameters: Any) -> FromFile:
        file = folder / f"{scale}-{fixed}.{kind}"
        path = str(file) if file.exists() else write(kind, file, net(scale), fixed=fixed)
        given = {"dimension": 6, "shape": SHAPE, "latent_shape": (6, 1, 1)} | parameters
        return KINDS[kind](path, **given)

    return made


class TestDynamicRows(GeneratorContract):
    @pytest.fixture
    def generator(self, make: Callable[..., FromFile]) -> Generator:
        return make()

    def test_it_makes_what_the_net_makes(self, generator: Generator, kind: str) -> None:
        latents = torch.randn(5, 6)
        expected = net()(latents.reshape(5, 6, 1, 1)) / 2 + 0.5
        torch.testing.assert_close(generator.render(latents), expected.detach())
        assert generator.differentiable == (kind != "onnx")
        assert generator.kind == kind


class TestFixedRows(GeneratorContract):
    @pytest.fixture
    def generator(self, make: Callable[..., FromFile]) -> Generator:
        return make(fixed=True, rows=4)

    def test_seven_rows_go_in_two_batches(self, generator: Generator) -> None:
        latents = torch.randn(7, 6)
        expected = net()(latents.reshape(7, 6, 1, 1)) / 2 + 0.5
        torch.testing.assert_close(generator.render(latents), expected.detach())


def test_priors(make: Callable[..., FromFile]) -> None:
    assert make(prior="sphere").space.kind == "sphere"
    box = make(prior="box", low=-2.0, high=0.5).space.spec
    assert (box.low, box.high) == ((-2.0,), (0.5,))


def test_an_output_range_is_turned_to_0_and_1(make: Callable[..., FromFile]) -> None:
    generator = make(100.0, output_range=(-100.0, 100.0))
    torch.testing.assert_close(
        generator.render(torch.zeros(1, 6)), make().render(torch.zeros(1, 6))
    )
    with pytest.raises(InvalidSpec, match=r"output_range: .* makes numbers from -.* outside of"):
        make(100.0).render(torch.zeros(1, 6))
    stimuli = make(100.0, clip=True).render(torch.randn(4, 6))
    assert stimuli.min() == 0
    assert stimuli.max() == 1


class Overflowing(nn.Module):
    """A decoder in half precision: of some latents it overflows, as float16 decoders do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weights = nn.Parameter(torch.randn(6, 24) * 40)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        half = (latents.flatten(1) @ self.weights).half()
        squares = half * half  # above 65,504: infinite
        return (squares / squares.amax(1, keepdim=True)).float().reshape(-1, 2, 3, 4)


def test_rows_in_which_a_file_overflows_are_nan_and_the_others_are_right(tmp_path: Path) -> None:
    model = Overflowing().eval()
    path = write("torchscript", tmp_path / "half.pt", model)
    generator = TorchScript(path, 6, SHAPE, latent_shape=(6, 1, 1), output_range=(0.0, 1.0))
    latents = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    stimuli = generator.render(latents)
    made = model(latents[:, :, None, None]).detach()
    lost = ~made.flatten(1).isfinite().all(1)
    assert 0 < lost.sum() < 40
    assert torch.equal(~stimuli.flatten(1).isfinite().all(1), lost)
    assert torch.equal(stimuli[~lost], made[~lost].clamp(0, 1))


def test_files_that_do_something_else(make: Callable[..., FromFile], kind: str) -> None:
    with pytest.raises(InvalidSpec, match=r"shape: .* makes \(3, 2, 3, 4\) of 3 latents; expected"):
        make(shape=(24,)).render(torch.zeros(1, 6))
    wrong = make(dimension=12, latent_shape=())
    expected = "failed on 3 latents of shape" if kind != "onnx" else "ONNX Runtime raised"
    with pytest.raises(Exception, match=expected):
        wrong.render(torch.zeros(1, 12))

    with pytest.raises(InvalidSpec, match="numbers that are not finite"):
        make(float("nan")).render(torch.zeros(1, 6))


def test_a_file_of_fixed_rows_says_so(make: Callable[..., FromFile], kind: str) -> None:
    if kind == "torchscript":
        pytest.skip("a trace takes any number of rows")
    with pytest.raises(Exception, match=r"rows|ONNX Runtime raised"):
        make(fixed=True).render(torch.zeros(3, 6))


def test_missing_and_damaged_files(kind: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="path: there is no file"):
        KINDS[kind](str(tmp_path / "absent"), 6, SHAPE).render(torch.zeros(1, 6))
    (tmp_path / "bad").write_bytes(b"nonsense")
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    with pytest.raises(InvalidSpec, match=r"cannot (read|run) .*bad'"):
        KINDS[kind](str(tmp_path / "bad"), 6, SHAPE).render(torch.zeros(1, 6))


def test_onnx_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "any").touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"blackbox-am\[onnx\]"):
        Onnx(str(tmp_path / "any"), 6, SHAPE).render(torch.zeros(1, 6))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dimension": 0}, "dimension: expected 1 or more, got 0"),
        ({"shape": []}, "shape: expected positive lengths"),
        ({"latent_shape": [5]}, "product is the dimension, 6"),
        ({"prior": "box", "low": 1.0}, "low: expected less than high"),
        ({"output_range": [1.0, -1.0]}, "output_range"),
        ({"rows": 0}, "rows: expected 1 or more"),
        ({"prior": "uniform"}, "prior|Invalid enum"),
    ],
)
def test_bad_parameters(kind: str, parameters: dict[str, Any], message: str) -> None:
    given = {"path": "x", "dimension": 6, "shape": [2, 3]} | parameters
    with pytest.raises(InvalidSpec, match=message):
        plugins.generators.build(kind, given)
    with pytest.raises(ShapeMismatch):
        KINDS[kind]("x", 6, SHAPE).render(torch.zeros(1, 7))
