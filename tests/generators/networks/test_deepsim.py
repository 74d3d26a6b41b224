from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.networks.deepsim import DeePSim
from blackbox_am.testing.generators import GeneratorContract

WIDTHS = {
    "deconv5": (4, 4, 4),
    "conv5_1": (4, 8, 3),
    "deconv4": (8, 4, 4),
    "conv4_1": (4, 4, 3),
    "deconv3": (4, 3, 4),
    "conv3_1": (3, 3, 3),
    "deconv2": (3, 3, 4),
    "deconv1": (3, 2, 4),
    "deconv0": (2, 3, 4),
}


def reference() -> nn.Sequential:
    """The published architecture in a reduced width: codes of 10, pictures of 3 x 128 x 128."""
    torch.manual_seed(0)
    layers: list[tuple[str, nn.Module]] = []
    for name, before, after in (("defc7", 10, 12), ("defc6", 12, 12), ("defc5", 12, 16)):
        layers += [(name, nn.Linear(before, after)), (f"relu_{name}", nn.LeakyReLU(0.3))]
    layers.append(("reshape", nn.Unflatten(1, (4, 2, 2))))
    for name, (before, after, kernel) in WIDTHS.items():
        stride = 2 if kernel == 4 else 1
        layers.append((name, nn.ConvTranspose2d(before, after, kernel, stride, 1)))
        layers.append((f"relu_{name}", nn.LeakyReLU(0.3)))
    net = nn.Sequential()
    for name, layer in layers[:-1]:
        net.add_module(name, layer)
    with torch.no_grad():
        net.deconv0.bias.copy_(torch.tensor([60.0, 10.0, -200.0]))
        net.deconv0.weight.mul_(1000)
    return net.eval()


@pytest.fixture(scope="session")
def deepsim_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("deepsim") / "generator.pt"
    torch.save({f"G.{key}": value for key, value in reference().state_dict().items()}, path)
    return str(path)


class TestContract(GeneratorContract):
    @pytest.fixture
    def generator(self, deepsim_file: str) -> Generator:
        return DeePSim(deepsim_file, crop=57)


def test_makes_red_green_and_blue_of_the_published_net(deepsim_file: str) -> None:
    codes = torch.rand(3, 10) * 11
    with torch.no_grad():
        made = reference()(codes)
    expected = (made + torch.tensor([104.0, 117.0, 123.0]).reshape(3, 1, 1)) / 255
    generator = DeePSim(deepsim_file)
    assert generator.stimulus_shape == (3, 128, 128)
    stimuli = generator.render(codes)
    torch.testing.assert_close(stimuli, expected.flip(1).clamp(0, 1), rtol=1e-4, atol=1e-5)
    cropped = DeePSim(deepsim_file, crop=57).render(codes)
    assert torch.equal(cropped, stimuli[:, :, 35:92, 35:92])


def test_codes_are_kept_between_0_and_the_bounds(deepsim_file: str, tmp_path: Path) -> None:
    bounds = np.linspace(1, 10, 10)
    np.save(tmp_path / "bounds.npy", bounds)
    generator = DeePSim(deepsim_file, bounds=str(tmp_path / "bounds.npy"))
    assert generator.space.spec.high == tuple(bounds)
    (tmp_path / "bounds.npy").unlink()  # the file is read once
    assert generator.space is generator.space
    drawn = generator.space.sample(Stream(0, "test", 0), 500)[0].numpy()
    assert (drawn <= bounds).all()
    assert drawn.max(0) == pytest.approx(bounds, rel=0.05)
    outside = torch.full((1, 10), 100.0)
    inside = torch.tensor(bounds, dtype=torch.float32)[None]
    assert torch.equal(generator.render(outside), generator.render(inside))
    assert torch.equal(generator.render(-outside), generator.render(0 * inside))


def test_bounds_that_do_not_fit(deepsim_file: str) -> None:
    for bounds in ((1.0, 2.0), -1.0, (0.0,) * 10):
        with pytest.raises(InvalidSpec, match="bounds: expected 1 or 10 positive numbers"):
            _ = DeePSim(deepsim_file, bounds=bounds).space


def test_absent_weights_say_where_they_come_from_and_why(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="licensed for research and do not ship: get the authors'"):
        _ = DeePSim(str(tmp_path / "absent.pt")).space


def test_other_weights(tmp_path: Path) -> None:
    path = str(tmp_path / "other.pt")
    Path(path).write_bytes(b"nonsense")
    with pytest.raises(InvalidSpec, match="cannot be read as a state dict"):
        _ = DeePSim(path).space
    torch.save(nn.Linear(2, 2), path)  # a module is code
    with pytest.raises(InvalidSpec, match=r"torch\.load reads with weights_only"):
        _ = DeePSim(path).space
    torch.save({"epoch": 3}, path)
    with pytest.raises(InvalidSpec, match="holds no state dict, which is tensors by name"):
        _ = DeePSim(path).space
    torch.save({"weight": torch.zeros(2, 2)}, path)
    with pytest.raises(InvalidSpec, match=r"holds no generator of fc6: 'defc7.weight' is missing"):
        _ = DeePSim(path).space
    state = reference().state_dict()
    del state["conv4_1.bias"]
    torch.save(state | {"more": torch.zeros(1)}, path)
    with pytest.raises(InvalidSpec, match=r"the file lacks conv4_1.bias; the module has no more"):
        _ = DeePSim(path).space


def test_bad_parameters(deepsim_file: str) -> None:
    with pytest.raises(InvalidSpec, match="crop: expected 1 or more"):
        DeePSim(deepsim_file, crop=0)
    with pytest.raises(InvalidSpec, match="crop: expected 128 at most, got 227"):
        _ = DeePSim(deepsim_file, crop=227).stimulus_shape
    with pytest.raises(InvalidSpec, match="mean: expected three numbers"):
        DeePSim(deepsim_file, mean=(300.0, 0.0, 0.0))
