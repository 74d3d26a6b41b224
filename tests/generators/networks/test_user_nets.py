"""Users' own nets as generators: from Python, from configurations, from checkpoints."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.generator import Generator
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch
from blackbox_am.generators.networks.gan import Gan
from blackbox_am.generators.networks.torch_generator import TorchGenerator
from blackbox_am.generators.networks.vq_module import VQModule
from blackbox_am.testing.generators import GeneratorContract, latents_for
from blackbox_am.zoo import loading
from tests.generators.networks import user_nets

ASSETS = Path(__file__).parents[4] / "shared" / "assets"
MANGO = ASSETS / "mango_vqvae_cifar10.safetensors"
NETS = user_nets.__name__
SHAPES = {"dimension": 6, "latent_shape": [6, 1, 1], "shape": [3, 16, 16]}


def example(seed: int = 0, **given: int | bool) -> user_nets.Example:
    torch.manual_seed(seed)
    net = user_nets.Example(**given)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def pictures(net: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        made: torch.Tensor = net(latents[:, :, None, None]) / 2 + 0.5
    return made


class TestModules(GeneratorContract):
    @pytest.fixture
    def generator(self) -> Generator:
        return TorchGenerator(example(), 6, (3, 16, 16), latent_shape=(6, 1, 1))


class TestCheckpoints(GeneratorContract):
    @pytest.fixture
    def generator(self, tmp_path: Path) -> Generator:
        torch.save({"netG_state_dict": example().state_dict()}, tmp_path / "model.tar")
        return Gan(str(tmp_path / "model.tar"))


def test_a_module_is_copied_and_runs_in_eval_mode() -> None:
    net = example().train()
    generator = TorchGenerator(net, 6, (3, 16, 16), latent_shape=(6, 1, 1))
    latents = latents_for(generator)
    torch.testing.assert_close(generator.render(latents), pictures(example(), latents))
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    same = TorchGenerator(example(), 6, (3, 16, 16), latent_shape=(6, 1, 1))
    other = TorchGenerator(example(1), 6, (3, 16, 16), latent_shape=(6, 1, 1))
    assert generator.fingerprint() == same.fingerprint() != other.fingerprint()


def test_a_class_with_weights_stands_in_a_configuration(tmp_path: Path) -> None:
    net = example(nz=6, ngf=2)
    torch.save({"netD_state_dict": example(2).state_dict(), "netG_state_dict": net.state_dict(),
                "epoch": 7}, tmp_path / "run.pth")  # fmt: skip
    entry = {"kind": "torch_generator", "model": f"{NETS}:Example", "arguments": {"ngf": 2},
             "weights": str(tmp_path / "run.pth"), **SHAPES}  # fmt: skip
    generator = Catalogue.from_plain({"generators": {"mine": entry}}).generator("mine")
    latents = latents_for(generator)
    torch.testing.assert_close(generator.render(latents), pictures(net, latents))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": 3}, InvalidSpec, "model: expected a torch.nn.Module, or"),
        ({"model": f"{NETS}:Exampel"}, InvalidSpec, "no attribute 'Exampel'; did you mean"),
        ({"model": f"{NETS}:fails"}, InvalidSpec, "raised ValueError .* no weights today"),
        ({"model": f"{NETS}:torch"}, InvalidSpec, "to be or to make a torch.nn.Module"),
        ({"arguments": {"ngg": 2}}, InvalidSpec, "raised TypeError .* arguments ngg"),
        ({"weights": "nothing.pth"}, NotFound, "no file 'nothing.pth'"),
        ({"shape": (3, 8, 8)}, InvalidSpec, r"Example' makes \(3, 3, 16, 16\) of 3 latents"),
        ({"output_range": (0.5, 1.0)}, InvalidSpec, "output_range: .*Example' makes numbers from"),
    ],
)
def test_mistakes_are_said(changes: dict, error: type[Exception], message: str) -> None:
    given = {"model": f"{NETS}:Example", **SHAPES, **changes}
    with pytest.raises(error, match=message):
        TorchGenerator(**given).render(torch.zeros(1, 6))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".tar", ".safetensors"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_dcgan_is_read_from_its_weights_alone(suffix: str, bias: bool, tmp_path: Path) -> None:
    net = example(nz=5, nc=1, bias=bias)
    path = tmp_path / f"netG_epoch_24{suffix}"
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"netG_state_dict": state, "lossG": 1.5} if suffix == ".tar" else state, path)
    generator = Gan(str(path), truncation=0.5)
    assert generator.stimulus_shape == (1, 16, 16)
    assert generator.space.dim == 5
    latents = latents_for(generator)
    torch.testing.assert_close(generator.render(latents), pictures(net, latents / 2))
    assert generator.fingerprint() == Gan(str(path), truncation=0.5).fingerprint()


def test_weights_of_another_net_are_said(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    for state, message in (
        (torch.nn.Linear(3, 4).state_dict(), r"has a weight of shape \(4, 3\); a DCGAN has"),
        (torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5), torch.nn.Conv2d(4, 5, 5)).state_dict(),
         "expected transposed convolutions of a DCGAN.* torch_generator"),
    ):  # fmt: skip
        torch.save(state, path)
        with pytest.raises(InvalidSpec, match=message):
            _ = Gan(str(path)).space


@pytest.fixture
def mango() -> dict[str, object]:
    if not MANGO.is_file():
        pytest.skip("the shared assets are not beside this repository")
    return {"kind": "vq_module", "decoder": f"{NETS}:MangoDecoder",
            "encoder": f"{NETS}:MangoEncoder", "weights": str(MANGO),
            "codebook": "_vq_vae._embedding.weight", "grid": [8, 8],
            "mean": [0.4914, 0.4822, 0.4465], "std": [0.2470, 0.2435, 0.2616]}  # fmt: skip


@pytest.mark.parametrize("latent", ["codes", "continuous"])
def test_mangos_generator_stands_in_a_configuration(mango: dict[str, object], latent: str) -> None:
    tables = {"generators": {"mango": {**mango, "latent": latent}}}
    generator = Catalogue.from_plain(tables).generator("mango")
    assert generator.space.kind == ("categorical" if latent == "codes" else "normal")
    images = torch.from_numpy(loading.probe_images()[0][::20]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        error = (generator.render(generator.encode(images)) - images).square().mean()
    assert error < 0.006
    assert generator.fingerprint() == Catalogue.from_plain(tables).generator("mango").fingerprint()


def test_wrong_names_in_a_file_of_weights_are_said(tmp_path: Path) -> None:
    net = torch.nn.ConvTranspose2d(5, 3, 2, stride=2)
    save_file({**net.state_dict(), "book": torch.randn(7, 5)}, tmp_path / "w.safetensors")
    given = {
        "grid": (2, 3),
        "stimulus_shape": (3, 4, 6),
        "weights": str(tmp_path / "w.safetensors"),
    }
    torch.manual_seed(0)
    fresh = torch.nn.ConvTranspose2d(5, 3, 2, stride=2)
    generator = VQModule(fresh, "book", **given)
    assert torch.equal(generator._net.decoder.weight, net.weight)
    assert not torch.equal(fresh.weight, net.weight)
    with pytest.raises(InvalidSpec, match="has no tensor 'bok'; did you mean 'book'"):
        _ = VQModule(fresh, "bok", **given).space
    with pytest.raises(InvalidSpec, match="there is no file of weights"):
        VQModule(fresh, "book", grid=(2, 3))
    with pytest.raises(InvalidSpec, match="does not hold the state of Linear"):
        VQModule(torch.nn.Linear(3, 3), "book", **given).render(torch.zeros(1, 6).long())
    with pytest.raises(ShapeMismatch, match=r"encoder: expected vectors of shape \(5, 2, 3\)"):
        VQModule(fresh, "book", encoder=torch.nn.Identity(), **given).encode(
            torch.zeros(1, 3, 4, 6)
        )
