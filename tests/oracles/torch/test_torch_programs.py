"""Programs of TorchScript and `torch.export` as oracles."""

import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.oracle import Oracle, check_gradients
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import GradientUnavailable, InvalidSpec, NotFound, OracleFailed
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.testing.oracles import OracleContract

SHAPE = (3, 8, 8)


class Net(nn.Module):
    """With an in-place ReLU that runs twice, a container, and a branch on its input."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        nn.init.uniform_(self.norm.running_mean)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.conv2(self.relu(self.conv1(x)))))
        return self.head(x.mean((2, 3)))


class Branching(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        if x.sum() > 0:
            x = self.relu(x)
        return self.head(self.relu(self.conv2(x)).mean((2, 3)))


class Closed(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.head(self.relu(self.conv2(self.conv1(x))).mean((2, 3)))


class Pair(Net):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.conv2(self.conv1(x))
        return self.head(x.mean((2, 3))), x


def script(module: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is superseded
        return torch.jit.script(module.eval())


def trace(
    module: nn.Module, rows: int = 2, shape: tuple[int, ...] = SHAPE
) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module.eval(), torch.rand(rows, *shape))


def export(
    module: nn.Module,
    rows: int | None = None,
    shape: tuple[int, ...] = SHAPE,
    strict: bool = False,
) -> torch.export.ExportedProgram:
    free = None if rows else {"x": {0: torch.export.Dim("rows", min=2, max=100)}}
    example = (torch.rand(rows or 4, *shape),)
    return torch.export.export(module.eval(), example, dynamic_shapes=free, strict=strict)


def saved(program: object, folder: Path) -> str:
    if isinstance(program, torch.jit.ScriptModule):
        torch.jit.save(program, folder / "net.pt")
        return f"torchscript:{folder}/net.pt"
    assert isinstance(program, torch.export.ExportedProgram)
    torch.export.save(program, folder / "net.pt2")
    return f"exported:{folder}/net.pt2"


MAKERS: dict[str, Callable[[], object]] = {
    "scripted": lambda: script(Net()),
    "traced": lambda: trace(Net()),
    "frozen": lambda: torch.jit.freeze(script(Net())),
    "exported": lambda: export(Net()),
    "strict": lambda: export(Net(), strict=True),
    "fixed": lambda: export(Net(), rows=3),
}


@pytest.fixture(scope="module", params=MAKERS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(MAKERS[request.param](), tmp_path_factory.mktemp(request.param))


@pytest.fixture
def stimuli() -> torch.Tensor:
    return torch.rand(7, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def normalising(program: str) -> Oracle:
    return TorchModule(program, SHAPE, (0.5,), (0.25,), device="cpu")


class TestPrograms(OracleContract):
    @pytest.fixture
    def oracle(self, normalising: Oracle) -> Oracle:
        return normalising


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def layers(oracle: TorchModule) -> dict[str, LayerInfo]:
    return {layer.name: layer for layer in oracle.describe().layers}


def test_reads_what_the_module_reads(program: str, stimuli: torch.Tensor) -> None:
    if "frozen" in program:
        pytest.skip("a frozen program has no modules")
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    oracle = TorchModule(program, SHAPE, mean, std, device="cpu", labels=tuple("abcde"))
    module = TorchModule(Net().eval(), SHAPE, mean, std, device="cpu", labels=tuple("abcde"))
    ours, theirs = layers(oracle), layers(module)
    assert [name for name in ours if name != "head.0"] == [n for n in theirs if n != "head.0"]
    for name, layer in ours.items():
        assert layer == theirs[name]
    asked = ["conv1:1!min", "conv1:2@0,7", "norm:3!max", "relu:5", "head.1:0", "head:1", "output:2"]
    answer = oracle.observe(stimuli, units(*asked))
    torch.testing.assert_close(answer, module.observe(stimuli, units(*asked)))
    assert answer[:, 0].max() < 0, "read before the in-place ReLU"


def test_slopes_are_those_of_the_module(program: str, stimuli: torch.Tensor) -> None:
    asked = units("output:2" if "frozen" in program else "conv2:1@center")
    slopes = []
    for model in (program, Net().eval()):
        x = stimuli.clone().requires_grad_()
        answer = TorchModule(model, SHAPE, device="cpu").observe(x, asked)
        slopes.append(torch.autograd.grad(answer.sum(), x)[0])
    assert slopes[1].abs().max() > 0
    torch.testing.assert_close(*slopes)


def test_an_answer_does_not_depend_on_which_other_units_are_asked_for(
    program: str, stimuli: torch.Tensor
) -> None:
    oracle = TorchModule(program, SHAPE, device="cpu")
    every = [Unit(found.name, i) for found in oracle.describe().layers for i in range(found.units)]
    together = oracle.observe(stimuli, every)
    for column, unit in enumerate(every):
        assert torch.equal(oracle.observe(stimuli, [unit])[:, 0], together[:, column])


def test_modules_that_are_called_on_some_paths_only_are_left_out(stimuli: torch.Tensor) -> None:
    oracle = TorchModule(script(Branching()), SHAPE, device="cpu")
    assert list(layers(oracle)) == ["conv1", "conv2", "relu", "head.0", "head.1", "head", "output"]
    assert layers(oracle)["relu"].shape == (6, 4, 4)
    asked = units("conv1:1", "relu:3", "head:1")
    for x in (stimuli, -stimuli * 20):
        expected = TorchModule(Branching().eval(), SHAPE, device="cpu").observe(x, asked)
        torch.testing.assert_close(oracle.observe(x, asked), expected)


def test_a_frozen_program_has_its_output_alone() -> None:
    oracle = TorchModule(torch.jit.freeze(script(Net())), SHAPE, device="cpu")
    assert list(layers(oracle)) == ["output"]


def test_a_program_without_gradients_says_so(stimuli: torch.Tensor) -> None:
    oracle = TorchModule(script(Closed()), SHAPE, device="cpu")
    assert oracle.describe().capabilities == FORWARD
    with pytest.raises(GradientUnavailable, match="adam needs the capability GRADIENTS"):
        check_gradients(oracle.describe(), "adam")
    x = stimuli.requires_grad_()
    assert not oracle.observe(x, units("output:0", "conv1:1")).requires_grad


@pytest.mark.parametrize("make", [script, export])
def test_several_outputs(make: Callable[[nn.Module], object], stimuli: torch.Tensor) -> None:
    oracle = TorchModule(make(Pair()), SHAPE, device="cpu")
    assert layers(oracle)["output"].shape == (5,)
    assert layers(oracle)["output.1"].shape == (6, 4, 4)
    both = oracle.observe(stimuli, units("output.1:3@1,2", "conv2:3@1,2"))
    assert torch.equal(both[:, 0], both[:, 1])


def test_an_exported_program_knows_shape_and_rows(stimuli: torch.Tensor) -> None:
    for rows in (1, 3):
        oracle = TorchModule(export(Net(), rows=rows), device="cpu")
        assert oracle.stimulus_shape == SHAPE
        for count in (0, 1, 3, 7):
            expected = Net().eval()(stimuli[:count])
            answer = oracle.observe(stimuli[:count], units(*(f"head:{i}" for i in range(5))))
            torch.testing.assert_close(answer, expected.reshape(count, 5))


class Recurrent(nn.Module):
    """Uses the last state before, or instead of, the sequence."""

    def __init__(self, *, sequence: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.lstm = nn.LSTM(4, 6, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 5)
        self.sequence = sequence

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, (last, _) = self.lstm(x)
        found = self.head(last[0])
        return found + states[:, 0].sum(1, keepdim=True) if self.sequence else found


@pytest.mark.parametrize("sequence", [True, False])
def test_a_trace_of_a_recurrent_layer_reads_its_sequence(sequence: bool) -> None:
    net = Recurrent(sequence=sequence).eval()
    x = torch.rand(3, 9, 4, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the number of rows is fixed in the trace
        program = torch.jit.trace(net, x)
    oracle = TorchModule(program, (9, 4), device="cpu", rows=3)
    found = oracle.observe(x, [Unit("lstm", index) for index in range(12)])
    torch.testing.assert_close(found, net.lstm(x)[0].mean(1).detach())


def test_rows_of_a_trace_that_takes_no_others(stimuli: torch.Tensor) -> None:
    class Fixed(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).reshape(int(x.shape[0]), 5)

    program = trace(Fixed(), rows=2)
    with pytest.raises(OracleFailed, match="shape"):
        TorchModule(program, SHAPE, device="cpu").describe()
    answer = TorchModule(program, SHAPE, device="cpu", rows=2).observe(stimuli, units("output:1"))
    torch.testing.assert_close(answer[:, 0], Net().eval()(stimuli)[:, 1])


def test_files_that_are_no_programs(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("program")
    torch.save(nn.Linear(2, 2), tmp_path / "pickle")
    for prefix in ("torchscript", "exported"):
        with pytest.raises(NotFound, match="no file"):
            TorchModule(f"{prefix}:{tmp_path}/absent", SHAPE).describe()
        for name in ("text", "pickle"):
            with pytest.raises(InvalidSpec, match=r"cannot read .* as a program|neither"):
                TorchModule(f"{prefix}:{tmp_path}/{name}", SHAPE).describe()


class Boom:
    ran = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Boom, "ran", True)


def test_exported_programs_with_pickled_objects_are_refused_unread(tmp_path: Path) -> None:
    saved(export(Net()), tmp_path)
    torch.save((Boom(),), tmp_path / "boom")
    with (
        zipfile.ZipFile(tmp_path / "net.pt2") as good,
        zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad,
    ):
        for name in good.namelist():
            harmful = name.endswith("sample_inputs/model.pt")
            bad.writestr(name, (tmp_path / "boom").read_bytes() if harmful else good.read(name))
    with pytest.raises(InvalidSpec, match="only pickle could read"):
        TorchModule(f"exported:{tmp_path}/bad.pt2")
    assert not Boom.ran
    # What it is refused for: PyTorch itself runs the object, and fails afterwards.
    with suppress(Exception):
        torch.export.load(tmp_path / "bad.pt2")
    assert Boom.ran


def test_programs_exported_for_training_are_refused() -> None:
    program = torch.export.export(Net().train(), (torch.rand(4, *SHAPE),))
    with pytest.raises(InvalidSpec, match=r"training mode.*eval"):
        TorchModule(program)


def test_programs_with_several_inputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    program = torch.export.export(Two(), (torch.rand(4, 3), torch.rand(4, 3)))
    with pytest.raises(InvalidSpec, match="one input"):
        TorchModule(program)


@pytest.mark.slow
@pytest.mark.parametrize("make", [script, trace, export, lambda net, shape: export(net, 64, shape)])
def test_resnet20_of_the_assets(
    make: Callable[..., object],
    resnet20: nn.Module,
    cifar_test: tuple[torch.Tensor, np.ndarray],
    tmp_path: Path,
) -> None:
    shape = {"shape": (3, 32, 32)} if make is not script else {}
    oracle = TorchModule(
        saved(make(resnet20, **shape), tmp_path),
        (3, 32, 32),
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        device="cpu",
    )
    x, classes = cifar_test
    asked = units(*(f"head:{i}" for i in range(10)))
    with torch.no_grad():
        scores = torch.cat([oracle.observe(part, asked) for part in x.split(100)])
    assert (scores.argmax(1).numpy() == classes).sum() == 912
