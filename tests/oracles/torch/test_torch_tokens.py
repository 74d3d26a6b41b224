"""Tokens, attention heads and MLP neurons of vision transformers, whatever they are made of."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import UnknownUnit
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.zoo.nets import CifarViT, PatchEmbed

transformers = pytest.importorskip("transformers")

SIDE = 16
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": SIDE,
    "patch_size": 4,
}


class OwnViT(nn.Module):
    """One with PyTorch's own encoder, and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(4, 16)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 24, 0.0, nn.GELU(), batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch_embed(x)
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        return self.head(self.encoder(tokens)[:, 0])


@dataclass
class Case:
    """A transformer, the same as an oracle, and what its layers are called."""

    model: nn.Module
    oracle: TorchModule
    neurons: str
    behind: str
    attention: str
    projection: str


def _eager(model: nn.Module, side: int, *names: str) -> Case:
    return Case(model, TorchModule(model, (3, side, side), device="cpu"), *names)


ZOO = ("blocks.1.mlp.fc1", "blocks.1.mlp.act", "blocks.1.attn", "proj")
OWN = ("encoder.layers.1.linear1", "", "encoder.layers.1.self_attn", "out_proj")


def zoo_net() -> nn.Module:
    return CifarViT(dim=16, depth=2, heads=2, hidden=24).eval()


def own(tmp_path: Path) -> Case:
    return _eager(OwnViT().eval(), SIDE, *OWN)


def zoo(tmp_path: Path) -> Case:
    return _eager(zoo_net(), 32, *ZOO)


def vit(tmp_path: Path) -> Case:
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL))
    return _saved(model, tmp_path, "vit.layers.1.", "attention", "o_proj")


def clip(tmp_path: Path) -> Case:
    model = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SMALL))
    return _saved(model, tmp_path, "encoder.layers.1.", "self_attn", "out_proj")


def _saved(model: nn.Module, folder: Path, layer: str, attention: str, projection: str) -> Case:
    model.eval().save_pretrained(folder)
    oracle = TorchModule(f"transformers:{folder}", mean=(0.0,), std=(1.0,), device="cpu")
    names = (f"{layer}mlp.fc1", f"{layer}mlp.activation_fn", f"{layer}{attention}", projection)
    return Case(model, oracle, *names)


def exported(tmp_path: Path) -> Case:
    model = zoo_net()
    torch.export.save(torch.export.export(model, (torch.rand(4, 3, 32, 32),)), tmp_path / "a.pt2")
    return Case(model, TorchModule(f"exported:{tmp_path}/a.pt2", device="cpu"), *ZOO)


def exported_own(tmp_path: Path) -> Case:
    model = OwnViT().eval()
    rows = {"x": {0: torch.export.Dim("rows", min=1, max=64)}}
    program = torch.export.export(model, (torch.rand(4, 3, SIDE, SIDE),), dynamic_shapes=rows)
    return Case(model, TorchModule(program, device="cpu"), *OWN)


def _traced(model: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        # That the number of rows is fixed in the trace is what these tests want.
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, torch.rand(3, 3, 32, 32))


def traced(tmp_path: Path) -> Case:
    model = zoo_net()
    torch.jit.save(_traced(model), tmp_path / "a.pt")
    source = f"torchscript:{tmp_path}/a.pt"
    return Case(model, TorchModule(source, (3, 32, 32), device="cpu", rows=3), *ZOO)


@pytest.fixture(scope="module", params=[own, zoo, vit, clip, exported, exported_own, traced])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: Case = request.param(tmp_path_factory.mktemp("model"))
    return made


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def stimuli_of(oracle: TorchModule) -> torch.Tensor:
    return torch.rand(5, *oracle.stimulus_shape, generator=torch.Generator().manual_seed(0))


def heard(model: nn.Module, name: str, x: torch.Tensor) -> torch.Tensor:
    """What a module of the model gives back, by a hook of our own."""
    found = []
    handle = model.get_submodule(name).register_forward_hook(lambda m, i, o: found.append(o))
    with torch.no_grad():
        model(x)
    handle.remove()
    return found[-1][0] if isinstance(found[-1], tuple) else found[-1]


def layers(oracle: TorchModule) -> dict[str, LayerInfo]:
    return {layer.name: layer for layer in oracle.describe().layers}


def test_neurons_at_tokens(case: Case) -> None:
    x = stimuli_of(case.oracle)
    tokens = (case.oracle.stimulus_shape[1] // 4) ** 2 + 1
    assert layers(case.oracle)[case.neurons] == LayerInfo(
        case.neurons, "linear", (tokens, 24), ("token", "unit")
    )
    asked = [f"{case.neurons}:7{how}" for how in ("", "@cls", "@3", "!mean", "!max")]
    answer = case.oracle.observe(x, units(*asked))
    values = heard(case.model, case.neurons, x)[:, :, 7]
    patches = values[:, 1:]
    expected = [patches.mean(1), values[:, 0], values[:, 3], patches.mean(1), patches.amax(1)]
    torch.testing.assert_close(answer, torch.stack(expected, dim=1), rtol=1e-4, atol=1e-5)


def test_neurons_before_and_behind_their_nonlinearity(case: Case) -> None:
    found = layers(case.oracle)
    assert not found[case.neurons].after_nonlinearity
    if not case.behind:
        pytest.skip("the nonlinearity of PyTorch's own encoder is a function, no module")
    assert found[case.behind].after_nonlinearity
    assert found[case.behind].kind == "activation"


def test_heads_are_what_the_projection_mixes(case: Case) -> None:
    x = stimuli_of(case.oracle)
    found = layers(case.oracle)
    heads = [name for name in found if name.startswith(f"{case.attention}.heads.")]
    assert heads == [f"{case.attention}.heads.{i}" for i in (0, 1)]
    tokens = found[case.neurons].shape[0]
    assert found[heads[0]] == LayerInfo(heads[0], "head", (tokens, 8), ("token", "unit"))
    for where, token in (("@cls", 0), ("@5", 5)):
        asked = units(*(f"{head}:{i}{where}" for head in heads for i in range(8)))
        values = case.oracle.observe(x, asked)
        mixing = case.model.get_submodule(f"{case.attention}.{case.projection}")
        mixed = torch.nn.functional.linear(values, mixing.weight, mixing.bias)
        expected = heard(case.model, case.attention, x)[:, token]
        torch.testing.assert_close(mixed, expected, rtol=1e-4, atol=1e-5)


def test_a_head_as_a_whole(case: Case) -> None:
    x = stimuli_of(case.oracle)
    head = f"{case.attention}.heads.1"
    each = case.oracle.observe(x, units(*(f"{head}:{i}" for i in range(8))))
    torch.testing.assert_close(case.oracle.observe(x, units(head))[:, 0], each.mean(1))
    with pytest.raises(UnknownUnit, match="units 0 to 7"):
        case.oracle.observe(x, units(f"{head}:8"))


def test_gradients_reach_stimuli_from_heads_and_neurons(case: Case) -> None:
    found = case.oracle.describe().capabilities
    assert found & ~Capability.INTERVENTION == FORWARD | Capability.GRADIENTS
    for unit in units(f"{case.attention}.heads.1:3@cls", f"{case.neurons}:7!max"):
        x = stimuli_of(case.oracle).requires_grad_()
        answer = case.oracle.observe(x, [unit])
        (slopes,) = torch.autograd.grad(answer.sum(), x)
        assert (slopes.flatten(1).abs().amax(1) > 0).all()


def test_layers_of_patches_alone_have_no_class_token(case: Case) -> None:
    patches = [name for name, layer in layers(case.oracle).items() if "patch" in name]
    tokens = [name for name in patches if layers(case.oracle)[name].kind == "tokens"]
    for name in tokens:
        with pytest.raises(UnknownUnit, match=r"no class token.*@0"):
            case.oracle.observe(stimuli_of(case.oracle), units(f"{name}:2@cls"))
    assert tokens or isinstance(case.model, transformers.CLIPVisionModel)


def _pooling() -> nn.Module:
    """Attention with another query than values, batches second, as in pooling by a probe."""

    class Pool(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.probe = nn.Parameter(torch.randn(1, 1, 16))
            self.attention = nn.MultiheadAttention(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            probe = self.probe.expand(-1, len(x), -1)
            x = x.transpose(0, 1)
            return self.attention(query=probe, key=x, value=x)[0][0]

    return Pool()


def test_heads_of_attention_with_batches_second_and_another_query() -> None:
    torch.manual_seed(0)
    model = _pooling()
    oracle = TorchModule(model, (9, 16), device="cpu")
    names = [f"attention.heads.{i}" for i in range(4)]
    assert [name for name in layers(oracle) if "heads" in name] == names
    assert layers(oracle)[names[0]].shape == (1, 4)
    x = torch.rand(5, 9, 16)
    values = oracle.observe(x, units(*(f"{name}:{i}@0" for name in names for i in range(4))))
    mixed = model.attention.out_proj(values)
    torch.testing.assert_close(mixed, model(x), rtol=1e-4, atol=1e-5)


def test_a_frozen_program_has_no_modules() -> None:
    program = torch.jit.freeze(_traced(zoo_net()))
    oracle = TorchModule(program, (3, 32, 32), device="cpu", rows=3)
    assert list(layers(oracle)) == ["output"]


class SelfAttention(nn.Module):
    """Attention whose projection is somebody else's, as in transformers before version 5."""

    num_attention_heads = 2

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        q, k, v = (
            part(x).unflatten(2, (2, 8)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return (mixed.transpose(1, 2).flatten(2),)


def test_heads_of_attention_without_a_projection() -> None:
    torch.manual_seed(0)
    attention = SelfAttention()
    oracle = TorchModule(attention, (9, 16), device="cpu")
    assert [name for name in layers(oracle) if "heads" in name] == ["heads.0", "heads.1"]
    x = torch.rand(5, 9, 16)
    answer = oracle.observe(x, units("heads.1:3@4", "heads.0:7@8"))
    (whole,) = attention(x)
    torch.testing.assert_close(answer, torch.stack([whole[:, 4, 11], whole[:, 8, 7]], dim=1))
