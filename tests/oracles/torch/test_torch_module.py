import copy
import math
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import OracleFailed, OutOfMemory, UnknownUnit
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.zoo.nets import CifarViT
from tests.oracles.torch.nets import Net, layer, of, units

ASSETS = Path(__file__).parents[4] / "shared" / "assets"


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def stimuli() -> torch.Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_describes_layers_in_the_order_of_the_computation(net: Net) -> None:
    info = of(net).describe()
    assert [found.name for found in info.layers] == ["conv1", "conv2", "relu", "fc", "output"]
    assert info.capabilities == FORWARD | Capability.GRADIENTS | Capability.INTERVENTION
    assert info.stimulus_shape == (3, 8, 8)
    assert layer(of(net), "conv2") == LayerInfo(
        "conv2", "conv", (6, 4, 4), ("unit", "height", "width")
    )
    assert layer(of(net), "fc") == LayerInfo("fc", "linear", (5,), ("unit",))


def test_a_module_that_runs_twice_is_read_at_its_last_run(net: Net, stimuli: torch.Tensor) -> None:
    found = layer(of(net), "relu")
    assert found.shape == (6, 4, 4)
    assert found.after_nonlinearity
    plain = Net(inplace=False).eval()
    with torch.no_grad():
        expected = plain.relu(plain.conv2(plain.relu(plain.conv1(stimuli)))).mean((2, 3))
        answer = of(net).observe(stimuli, units("relu:2", "relu:5"))
    torch.testing.assert_close(answer, expected[:, [2, 5]])


def test_reads_before_an_in_place_activation_function(net: Net, stimuli: torch.Tensor) -> None:
    with torch.no_grad():
        expected = net.conv1(stimuli)
        assert expected.min() < 0
        answer = of(net).observe(
            stimuli, units("conv1:1", "conv1:1@center", "conv1:2@0,7", "conv1:3!min", "conv1:3!max")
        )
    torch.testing.assert_close(answer[:, 0], expected[:, 1].mean((1, 2)))
    torch.testing.assert_close(answer[:, 1], expected[:, 1, 4, 4])
    torch.testing.assert_close(answer[:, 2], expected[:, 2, 0, 7])
    torch.testing.assert_close(answer[:, 3], expected[:, 3].amin((1, 2)))
    torch.testing.assert_close(answer[:, 4], expected[:, 3].amax((1, 2)))


@pytest.mark.parametrize("address", ["conv1:1", "conv1:1@2,3", "conv1:1!max", "conv1!min", "fc:0"])
def test_gradients_pass_in_place_activation_functions(address: str, stimuli: torch.Tensor) -> None:
    slopes = []
    for inplace in (True, False):
        x = stimuli.clone().requires_grad_()
        answer = of(Net(inplace)).observe(x, units(address))
        slopes.append(torch.autograd.grad(answer.sum(), x)[0])
    assert slopes[0].abs().max() > 0
    assert torch.equal(*slopes)


def test_sums_and_whole_layers(net: Net, stimuli: torch.Tensor) -> None:
    with torch.no_grad():
        maps = net.conv1(stimuli)
        answer = of(net).observe(stimuli, units("conv1:0!sum", "conv1", "conv1@1,1!max", "fc!sum"))
        logits = net(stimuli)
    torch.testing.assert_close(answer[:, 0], maps[:, 0].sum((1, 2)))
    torch.testing.assert_close(answer[:, 1], maps.mean((1, 2, 3)))
    torch.testing.assert_close(answer[:, 2], maps[:, :, 1, 1].amax(1))
    torch.testing.assert_close(answer[:, 3], logits.sum(1))


def test_an_answer_does_not_depend_on_which_other_units_are_asked_for(
    net: Net, stimuli: torch.Tensor
) -> None:
    oracle = of(net)
    every = [Unit(found.name, i) for found in oracle.describe().layers for i in range(found.units)]
    together = oracle.observe(stimuli, every)
    for column, unit in enumerate(every):
        assert torch.equal(oracle.observe(stimuli, [unit])[:, 0], together[:, column])


def test_stimuli_are_normalised_inside(net: Net, stimuli: torch.Tensor) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    by_hand = torch.stack([(stimuli[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)
    asked = units("fc:0", "conv1:1")
    torch.testing.assert_close(
        of(net, mean=mean, std=std).observe(stimuli, asked), of(net).observe(by_hand, asked)
    )
    torch.testing.assert_close(
        of(net, mean=(0.5,)).observe(stimuli, asked), of(net).observe(stimuli - 0.5, asked)
    )


def test_a_model_in_training_mode_is_read_in_evaluation_mode(
    net: Net, stimuli: torch.Tensor
) -> None:
    net.fc = nn.Sequential(nn.Dropout(0.5), net.fc)
    net.train()
    oracle = of(net)
    assert torch.equal(
        oracle.observe(stimuli, units("output:0")), oracle.observe(stimuli, units("output:0"))
    )
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_hooks_are_removed_and_only_on_layers_asked_for(net: Net, stimuli: torch.Tensor) -> None:
    counts = []
    net.conv2.register_forward_hook(
        lambda *args: counts.append(sum(len(m._forward_hooks) for m in net.modules()))
    )
    oracle = of(net)
    oracle.describe()
    counts.clear()
    oracle.observe(stimuli, units("conv1:0", "fc:1", "fc:2"))
    assert counts == [3]
    assert sum(len(module._forward_hooks) for module in net.modules()) == 1


def test_hooks_are_removed_when_the_model_raises(stimuli: torch.Tensor) -> None:
    class Broken(Net):
        fails = False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.fails:
                raise ValueError("no more")
            return super().forward(x)

    model = Broken()
    oracle = of(model)
    oracle.describe()
    model.fails = True
    with pytest.raises(OracleFailed, match=r"ValueError.*no more"):
        oracle.observe(stimuli, units("fc:0"))
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_cannot_take_its_stimuli_says_so(net: Net) -> None:
    with pytest.raises(OracleFailed, match=r"RuntimeError on inputs of shape \(3, 2, 8, 8\)"):
        TorchModule(net, (2, 8, 8), device="cpu").describe()


def test_out_of_memory_is_told_apart(net: Net, stimuli: torch.Tensor) -> None:
    oracle = of(net)
    oracle.describe()

    def full(*args: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    net.conv2.register_forward_pre_hook(full)
    with pytest.raises(OutOfMemory, match="smaller batch_size"):
        oracle.observe(stimuli, units("fc:0"))


def test_nan_rows_stay_rows(net: Net, stimuli: torch.Tensor) -> None:
    stimuli[1] = math.nan
    answer = of(net).observe(stimuli, units("fc:0", "conv1:1"))
    assert answer.isnan().all(1).tolist() == [False, True, False, False]


def test_layers_whose_path_depends_on_the_input(stimuli: torch.Tensor) -> None:
    class Fickle(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if float(x.sum()) >= 0 else self.fc(torch.rand(len(x), 6))

    with pytest.raises(OracleFailed, match="conv1"):
        of(Fickle()).observe(-stimuli, units("conv1:0"))


def test_unknown_layers_name_near_ones(net: Net, stimuli: torch.Tensor) -> None:
    with pytest.raises(UnknownUnit, match=r"did you mean 'conv1'"):
        of(net).observe(stimuli, units("conv11:0"))


def test_a_plain_linear_model() -> None:
    torch.manual_seed(0)
    model = nn.Linear(7, 3)
    oracle = TorchModule(model, (7,), (0.5,), (2.0,), device="cpu")
    x = torch.rand(2, 7)
    (only,) = oracle.describe().layers
    assert (only.name, only.kind, only.axes) == ("output", "linear", ("unit",))
    torch.testing.assert_close(
        oracle.observe(x, units("output:2"))[:, 0], model((x - 0.5) / 2)[:, 2]
    )


def test_modules_with_numbers_for_names(stimuli: torch.Tensor) -> None:
    oracle = of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten()))
    assert [found.name for found in oracle.describe().layers] == ["0", "1", "2", "output"]
    answer = oracle.observe(stimuli, units("0:1!min", "1:1!min"))
    assert (answer[:, 0] < 0).all()
    assert (answer[:, 1] == 0).all()


@pytest.fixture(scope="module")
def vit() -> CifarViT:
    torch.manual_seed(0)
    return CifarViT(dim=16, depth=2, heads=2, hidden=24)


def test_tokens_of_a_vision_transformer(vit: CifarViT) -> None:
    oracle = TorchModule(copy.deepcopy(vit), (3, 32, 32), device="cpu")
    x = torch.rand(3, 3, 32, 32)
    seen: dict[str, torch.Tensor] = {}
    vit.eval()
    vit.blocks[1].mlp.fc1.register_forward_hook(lambda m, i, o: seen.update(fc1=o.detach()))
    vit.patch_embed.register_forward_hook(lambda m, i, o: seen.update(patches=o.detach()))
    vit(x)
    fc1 = "blocks.1.mlp.fc1"
    assert layer(oracle, fc1) == LayerInfo(fc1, "linear", (65, 24), ("token", "unit"))
    assert layer(oracle, "blocks.0").kind == "tokens"
    assert layer(oracle, "blocks.0.norm1").kind == "norm"
    assert layer(oracle, "blocks.0.mlp.act").after_nonlinearity
    asked = units(f"{fc1}:7", f"{fc1}:7@cls", f"{fc1}:7@3", f"{fc1}:7!max", f"{fc1}@cls")
    answer = oracle.observe(x, asked)
    values = seen["fc1"][:, :, 7]
    torch.testing.assert_close(answer[:, 0], values[:, 1:].mean(1))
    torch.testing.assert_close(answer[:, 1], values[:, 0])
    torch.testing.assert_close(answer[:, 2], values[:, 3])
    torch.testing.assert_close(answer[:, 3], values[:, 1:].amax(1))
    torch.testing.assert_close(answer[:, 4], seen["fc1"][:, 0].mean(1))
    patches = oracle.observe(x, units("patch_embed:2"))
    torch.testing.assert_close(patches[:, 0], seen["patches"][:, :, 2].mean(1))
    with pytest.raises(UnknownUnit, match=r"no class token.*@0"):
        oracle.observe(x, units("patch_embed:2@cls"))


class Sequence(nn.Module):
    """A transformer without a class token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        one = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(one, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x).mean(1))


def test_a_transformer_without_class_token() -> None:
    oracle = TorchModule(Sequence(), (6, 8), device="cpu")
    x = torch.rand(3, 6, 8)
    name = "encoder.layers.1.linear1"
    assert layer(oracle, name).axes == ("token", "unit")
    assert layer(oracle, "encoder.layers.0.self_attn").shape == (6, 8)
    each = oracle.observe(x, units(*(f"{name}:4@{token}" for token in range(6))))
    torch.testing.assert_close(oracle.observe(x, units(f"{name}:4"))[:, 0], each.mean(1))
    with pytest.raises(UnknownUnit, match="no class token"):
        oracle.observe(x, units(f"{name}:4@cls"))
    told = TorchModule(Sequence(), (6, 8), device="cpu", class_token=True)
    answer = told.observe(x, units(f"{name}:4", f"{name}:4@cls"))
    torch.testing.assert_close(answer[:, 0], each[:, 1:].mean(1))
    torch.testing.assert_close(answer[:, 1], each[:, 0])


def test_fused_attention_does_not_change_answers() -> None:
    oracle = TorchModule(Sequence(), (6, 8), device="cpu")
    x = torch.rand(3, 6, 8)
    whole, inner = units("encoder.layers.0:3"), units("encoder.layers.0.linear1:3")
    with torch.no_grad():
        alone = oracle.observe(x, whole)
        beside = oracle.observe(x, whole + inner)[:, :1]
    assert torch.equal(alone, beside)
    assert torch.equal(oracle.observe(x.requires_grad_(), whole).detach(), alone)


def test_series_have_units_and_a_length() -> None:
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU())
    oracle = TorchModule(model, (2, 12), device="cpu")
    assert layer(oracle, "1").axes == ("unit", "length")
    x = torch.rand(3, 2, 12)
    answer = oracle.observe(x, units("0:1@center", "0:1"))
    torch.testing.assert_close(answer[:, 0], model[0](x)[:, 1, 5])
    torch.testing.assert_close(answer[:, 1], model[0](x)[:, 1].mean(1))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("bfloat16", 3e-2), ("float16", 3e-3), ("float64", 1e-6)]
)
def test_dtypes(dtype: str, tolerance: float, stimuli: torch.Tensor) -> None:
    asked = units("fc:0", "conv1:1", "conv2:1!max", "conv1:0@center")
    answer = of(Net(), dtype=dtype).observe(stimuli, asked)
    assert answer.dtype == (torch.float64 if dtype == "float64" else torch.float32)
    expected = of(Net()).observe(stimuli, asked).to(answer.dtype)
    torch.testing.assert_close(answer, expected, rtol=tolerance, atol=tolerance)


def test_two_oracles_on_one_module_do_not_hear_each_other(net: Net) -> None:
    plain, shifted = of(net), of(net, mean=(0.5,))
    x = torch.rand(8, 3, 8, 8)
    asked = units("fc:0", "conv1:1")
    expected = plain.observe(x, asked), shifted.observe(x, asked)
    wrong = []

    def work(oracle: TorchModule, value: torch.Tensor) -> None:
        answers = [oracle.observe(x, asked) for _ in range(50)]
        wrong.extend(answer for answer in answers if not torch.equal(answer, value))

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in zip((plain, shifted), expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
