"""Where models come from: transformers, timm, the operator's classes and files of weights."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.service.config import load_config
from blackbox_am.testing.oracles import OracleContract
from tests import forked

transformers = pytest.importorskip("transformers")

TOWER = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
EYE = {**TOWER, "image_size": 16, "patch_size": 4}
LABELS = {0: "cat", 1: "dog", 2: "owl"}
MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.125)


def vit_model() -> nn.Module:
    return transformers.ViTModel(transformers.ViTConfig(**EYE))


def vit_classifier() -> nn.Module:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**EYE, id2label=LABELS))


def _residual(**more: object) -> object:
    return transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **more
    )


def resnet_model() -> nn.Module:
    return transformers.ResNetModel(_residual())


def resnet_classifier() -> nn.Module:
    return transformers.ResNetForImageClassification(_residual(id2label=LABELS))


def clip_vision() -> nn.Module:
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**EYE))


def clip() -> nn.Module:
    text = {**TOWER, "vocab_size": 50, "eos_token_id": 2}
    config = transformers.CLIPConfig(text_config=text, vision_config=EYE, projection_dim=8)
    return transformers.CLIPModel(config)


def save(make: Callable[[], nn.Module], folder: Path) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean)
    model.save_pretrained(folder)
    settings = {
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "image_mean": MEAN,
        "image_std": STD,
        "do_center_crop": True,
        "crop_size": {"height": 16, "width": 16},
        "size": {"shortest_edge": 18},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return model


MODELS = [vit_model, vit_classifier, resnet_model, resnet_classifier, clip_vision, clip]


@pytest.fixture(scope="module", params=MODELS, ids=lambda make: make.__name__)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[nn.Module, TorchModule]:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    model = save(request.param, folder)
    return model, TorchModule(f"transformers:{folder}", device="cpu")


class TestTransformers(OracleContract):
    @pytest.fixture
    def oracle(self, pair: tuple[nn.Module, TorchModule]) -> Oracle:
        return pair[1]


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def layers(oracle: TorchModule) -> dict[str, LayerInfo]:
    return {layer.name: layer for layer in oracle.describe().layers}


def test_the_output_is_that_of_transformers(pair: tuple[nn.Module, TorchModule]) -> None:
    model, oracle = pair
    assert oracle.stimulus_shape == (3, 16, 16)
    assert (oracle.mean, oracle.std) == (pytest.approx(MEAN), pytest.approx(STD))
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pixels = (x - torch.tensor(MEAN).reshape(3, 1, 1)) / torch.tensor(STD).reshape(3, 1, 1)
    with torch.no_grad():
        if isinstance(model, transformers.CLIPModel):
            expected = {"output": model.get_image_features(pixel_values=pixels).pooler_output}
        else:
            found = model(pixels)
            names = ["output", *(f"output.{key}" for key in list(found)[1:])]
            expected = dict(zip(names, found.values(), strict=True))
    outputs = {name: one for name, one in layers(oracle).items() if name.startswith("output")}
    assert list(outputs) == list(expected)
    for name, value in expected.items():
        last = [
            n - 1 for n, a in zip(value.shape[1:], outputs[name].axes, strict=True) if a != "unit"
        ]
        where = "@" + ",".join(map(str, last)) if last else ""
        asked = units(*(f"{name}:{i}{where}" for i in range(outputs[name].units)))
        at = value
        for axis, kind in reversed(list(enumerate(outputs[name].axes, start=1))):
            at = at if kind == "unit" else at.select(axis, value.shape[axis] - 1)
        torch.testing.assert_close(oracle.observe(x, asked), at, rtol=1e-4, atol=1e-5)


def test_labels_are_those_of_the_configuration(pair: tuple[nn.Module, TorchModule]) -> None:
    model, oracle = pair
    classifies = "Classification" in type(model).__name__
    labelled = [name for name, layer in layers(oracle).items() if layer.labels]
    assert ("output" in labelled) == classifies
    if classifies:
        assert layers(oracle)["output"].labels == ("cat", "dog", "owl")


def test_another_architecture_of_the_same_weights(tmp_path: Path) -> None:
    save(vit_classifier, tmp_path)
    source = f"transformers:{tmp_path}"
    with pytest.raises(InvalidSpec, match=r"no weights for pooler.*random.*add_pooling_layer"):
        TorchModule(source, architecture="ViTModel", device="cpu").describe()
    without = {"add_pooling_layer": False}
    oracle = TorchModule(source, architecture="ViTModel", arguments=without, device="cpu")
    assert layers(oracle)["output"].axes == ("token", "unit")
    with pytest.raises(InvalidSpec, match="'ViTModell'; did you mean 'ViTModel'"):
        TorchModule(source, architecture="ViTModell", device="cpu").describe()


def test_models_that_do_not_see_are_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(**TOWER, vocab_size=50)
    transformers.BertModel(config).save_pretrained(tmp_path)
    oracle = TorchModule(f"transformers:{tmp_path}", (3, 16, 16), (0.0,), (1.0,), device="cpu")
    with pytest.raises(InvalidSpec, match="takes input_ids; expected a model of images"):
        oracle.describe()


def test_normalisation_is_never_guessed(tmp_path: Path) -> None:
    save(vit_classifier, tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(InvalidSpec, match=r"mean, std: .*preprocessor_config"):
        TorchModule(f"transformers:{tmp_path}")
    assert TorchModule(f"transformers:{tmp_path}", mean=(0.5,), std=(0.5,)).mean == (0.5,)


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({"do_normalize": False}, 0.0, 1.0),
        ({"do_rescale": False, "image_mean": [127.5], "image_std": [51.0]}, 0.5, 0.2),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}, 0.5, 0.5),
    ],
)
def test_pixels_are_scaled_as_transformers_scales_them(
    settings: dict[str, object], mean: float, std: float, tmp_path: Path
) -> None:
    save(vit_classifier, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    oracle = TorchModule(f"transformers:{tmp_path}")
    assert oracle.mean == (pytest.approx(mean),)
    assert oracle.std == (pytest.approx(std),)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    model = save(vit_classifier, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(NotFound, match=r"expected model\.safetensors"):
        TorchModule(f"transformers:{tmp_path}", device="cpu").describe()


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"downloaded before \(or set download = true\)"):
        TorchModule("transformers:nobody/never-downloaded-this")
    with pytest.raises(NotFound, match=r"config\.json"):
        TorchModule(f"transformers:{tmp_path}")
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(InvalidSpec, match="cannot be read as JSON"):
        TorchModule(f"transformers:{tmp_path}")


@pytest.mark.slow
def test_a_model_of_the_hub_that_was_downloaded_before(tmp_path: Path) -> None:
    """In the layout in which the hub's own library keeps what it has downloaded."""
    kept = tmp_path / "hub" / "models--me--tiny"
    save(vit_classifier, kept / "snapshots" / "0123abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0123abc")
    code = (
        "from blackbox_am.oracles.torch.torch_module import TorchModule\n"
        "print(TorchModule('transformers:me/tiny', device='cpu').describe().layers[-1].labels)"
    )
    done = forked.run(
        [sys.executable, "-c", code],
        env={"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": ""},
        cwd=Path(plugins.__file__).parents[1],
        timeout=100,
    )
    assert "('cat', 'dog', 'owl')" in done.stdout


class Small(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The operator's module of code, of which ours is a copy."""
    (tmp_path / "operators_nets.py").write_text(
        "import torch\nfrom torch import nn\n\nNOT_A_MODULE = 7\n\n\n"
        "class Small(nn.Module):\n"
        "    def __init__(self, classes=3):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 3)\n"
        "        self.norm = nn.BatchNorm2d(4)\n"
        "        self.head = nn.Linear(4, classes)\n\n"
        "    def forward(self, x):\n"
        "        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "operators_nets", raising=False)
    return "operators_nets:Small"


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "nested.pth"])
def test_a_class_and_its_weights(suffix: str, code: str, tmp_path: Path) -> None:
    model = Small(5).eval()
    state = {key: value for key, value in model.state_dict().items() if "tracked" not in key}
    path = tmp_path / f"net.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if "nested" in suffix else state, path)
    arguments = {"classes": 5}
    oracle = TorchModule(code, (3, 8, 8), device="cpu", arguments=arguments, weights=str(path))
    x = torch.rand(2, 3, 8, 8)
    answer = oracle.observe(x, units(*(f"head:{i}" for i in range(5))))
    torch.testing.assert_close(answer, model(x).detach())
    given = TorchModule(Small(5), (3, 8, 8), device="cpu", weights=str(path))
    assert torch.equal(given.observe(x, units("head:2")), answer[:, [2]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "no_such_module:Net"}, "importing 'no_such_module' raised ModuleNotFoundError"),
        ({"model": "operators_nets:Smal"}, "did you mean 'Small'"),
        ({"model": "operators_nets:NOT_A_MODULE"}, "make a torch.nn.Module, got int"),
        ({"model": "collections:OrderedDict"}, "make a torch.nn.Module, got OrderedDict"),
        ({"arguments": {"clases": 5}}, "raised TypeError .* arguments clases"),
        ({"weights": "other"}, "the file lacks head.weight, head.bias; the module has no fc.bias"),
        ({"weights": "wide"}, r"head.bias is \(5,\) in the file and \(3,\) in the module"),
        ({"weights": "list"}, "no state dict, .* but a list"),
        ({"weights": "pickled"}, "torch.load reads with weights_only"),
        ({"weights": "text"}, "cannot be read as a state dict"),
        ({"architecture": "ViTModel"}, "architecture: a model given like this has no use for it"),
        ({"model": "zoo:cifar_cnn", "weights": "other"}, "weights: a model given like this"),
        ({"model": "torchscript:"}, "expected a torch.nn.Module"),
        ({"rows": 0}, "rows: expected a positive number"),
    ],
)
def test_what_does_not_fit(
    parameters: dict[str, object], message: str, code: str, tmp_path: Path
) -> None:
    state = Small().state_dict()
    other = {key.replace("head.bias", "fc.bias"): value for key, value in state.items()}
    del other["head.weight"]
    torch.save(other, tmp_path / "other")
    torch.save({**state, "head.bias": torch.zeros(5)}, tmp_path / "wide")
    torch.save([1, 2], tmp_path / "list")
    torch.save(Small(), tmp_path / "pickled")
    (tmp_path / "text").write_text("weights")
    if "weights" in parameters:
        parameters = {**parameters, "weights": str(tmp_path / str(parameters["weights"]))}
    defaults = {"model": code, "stimulus_shape": [3, 8, 8], "device": "cpu"}
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("torch_module", {**defaults, **parameters}).describe()


def test_absent_weights(code: str) -> None:
    with pytest.raises(NotFound, match=r"no file 'absent\.pt'"):
        TorchModule(code, (3, 8, 8), weights="absent.pt").describe()


def test_every_kind_from_a_configuration(code: str, tmp_path: Path) -> None:
    save(vit_classifier, tmp_path / "vit")
    save_file(Small(5).state_dict(), tmp_path / "small.safetensors")
    program = torch.export.export(Small().eval(), (torch.rand(2, 3, 8, 8),))
    torch.export.save(program, tmp_path / "small.pt2")
    torch.jit.save(torch.jit.trace(Small().eval(), torch.rand(2, 3, 8, 8)), tmp_path / "small.pt")
    config = tmp_path / "server.toml"
    config.write_text(
        "[server]\nshipped = false\n"
        '[oracles.own]\nkind = "torch_module"\nstimulus_shape = [3, 8, 8]\n'
        f'model = "{code}"\narguments = {{classes = 5}}\n'
        f'weights = "{tmp_path}/small.safetensors"\n'
        f'[oracles.vit]\nkind = "torch_module"\nmodel = "transformers:{tmp_path}/vit"\n'
        'architecture = "ViTForImageClassification"\n'
        f'[oracles.exported]\nkind = "torch_module"\nmodel = "exported:{tmp_path}/small.pt2"\n'
        f'[oracles.scripted]\nkind = "torch_module"\nmodel = "torchscript:{tmp_path}/small.pt"\n'
        "stimulus_shape = [3, 8, 8]\n"
    )
    catalogue = load_config(config).catalogue
    last = {name: catalogue.oracle(name).describe().layers[-1] for name in catalogue.oracle_names()}
    assert {name: (layer.name, layer.shape) for name, layer in last.items()} == {
        "exported": ("output", (3,)),
        "own": ("output", (5,)),
        "scripted": ("output", (3,)),
        "vit": ("output", (3,)),
    }
    for name in catalogue.oracle_names():
        assert name in ("vit", "own", "exported", "scripted")
        assert catalogue.oracle(name).fingerprint().contents


def test_timm_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match="pip install timm"):
        TorchModule("timm:resnet18")


def test_a_model_of_timm(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    small = {"embed_dim": 16, "depth": 2, "num_heads": 2, "img_size": 32, "num_classes": 5}
    model = timm.create_model("vit_tiny_patch16_224", **small).eval()
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    oracle = TorchModule(
        "timm:vit_tiny_patch16_224",
        (3, 32, 32),
        device="cpu",
        arguments=small,
        weights=str(tmp_path / "vit.safetensors"),
    )
    assert (oracle.mean, oracle.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    x = torch.rand(2, 3, 32, 32)
    values = oracle.observe(x, units(*(f"head:{i}" for i in range(5))))
    torch.testing.assert_close(values, model((x - 0.5) / 0.5).detach())
    heads = [name for name in layers(oracle) if name.startswith("blocks.1.attn.heads")]
    assert heads == ["blocks.1.attn.heads.0", "blocks.1.attn.heads.1"]
    assert layers(oracle)[heads[0]].shape == (5, 8)
    with pytest.raises(NotFound, match="did you mean"):
        TorchModule("timm:vit_tiny_patch16_22")
