import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.core.generator import Generator
from blackbox_am.core.space import Product
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.networks._biggan import at_truncation, truncated_normal
from blackbox_am.generators.networks.biggan import BigGAN
from blackbox_am.testing.generators import GeneratorContract

CONFIG: dict[str, Any] = {
    "output_dim": 16,
    "z_dim": 6,
    "class_embed_dim": 6,
    "channel_width": 4,
    "num_classes": 5,
    "layers": [[False, 16, 16], [True, 16, 8], [True, 8, 4], [False, 4, 2], [False, 2, 1]],
    "attention_layer_position": 2,
    "eps": 1e-4,
    "n_stats": 51,
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes in the published format, written down from its description."""
    found: dict[str, tuple[int, ...]] = {"embeddings.weight": (6, 5)}

    def normed(name: str, *shape: int, bias: bool = True) -> None:
        rest = 1
        for length in shape[1:]:
            rest *= length
        found[f"{name}.weight_orig"] = shape
        found[f"{name}.weight_u"], found[f"{name}.weight_v"] = (shape[0],), (rest,)
        if bias:
            found[f"{name}.bias"] = shape[:1]

    def statistics(name: str, channels: int) -> None:
        found[f"{name}.running_means"] = found[f"{name}.running_vars"] = (51, channels)

    normed("generator.gen_z", 16 * 64, 12)
    place = 0
    for i, (_, before, after) in enumerate(CONFIG["layers"]):
        wide, out = 4 * before, 4 * after
        if i == CONFIG["attention_layer_position"]:
            stem = f"generator.layers.{place}.snconv1x1_"
            for part, shape in (
                ("theta", (wide // 8, wide)),
                ("phi", (wide // 8, wide)),
                ("g", (wide // 2, wide)),
                ("o_conv", (wide, wide // 2)),
            ):
                normed(stem + part, *shape, 1, 1, bias=False)
            found[f"generator.layers.{place}.gamma"] = (1,)
            place += 1
        narrow = wide // 4
        sizes = ((wide, narrow, 1), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, out, 1))
        for k, (a, b, side) in enumerate(sizes):
            stem = f"generator.layers.{place}."
            statistics(f"{stem}bn_{k}", a)
            normed(f"{stem}bn_{k}.scale", a, 12, bias=False)
            normed(f"{stem}bn_{k}.offset", a, 12, bias=False)
            normed(f"{stem}conv_{k}", b, a, side, side)
        place += 1
    statistics("generator.bn", 4)
    found["generator.bn.weight"] = found["generator.bn.bias"] = (4,)
    normed("generator.conv_to_rgb", 4, 4, 3, 3)
    return found


def state() -> dict[str, torch.Tensor]:
    """Numbers that are the same on every machine and version."""
    made = {}
    for i, (name, shape) in enumerate(sorted(shapes().items())):
        count = torch.Size(shape).numel()
        waves = torch.sin(torch.arange(count, dtype=torch.float64) * (1.3 + i % 7) + i)
        if name.endswith(("running_vars", "bn.weight")):
            waves = 1 + 0.5 * waves
        made[name] = waves.reshape(shape).float()
    for name, tensor in made.items():
        if name.endswith("_orig"):
            stem = name.removesuffix("_orig")
            u, _, v = torch.linalg.svd(tensor.flatten(1).double(), full_matrices=False)
            made[f"{stem}_u"], made[f"{stem}_v"] = u[:, 0].float(), v[0].float()
    return made


@pytest.fixture(scope="session")
def biggan_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("biggan")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    torch.save(state(), folder / "pytorch_model.bin")
    return str(folder)


@pytest.fixture
def changed(biggan_folder: str, tmp_path: Path) -> Callable[..., str]:
    """A copy with other values in config.json, or other tensors."""

    def change(tensors: dict[str, torch.Tensor] | None = None, **values: Any) -> str:
        (tmp_path / "config.json").write_text(json.dumps(CONFIG | values))
        save_file(state() if tensors is None else tensors, tmp_path / "model.safetensors")
        return str(tmp_path)

    return change


LATENTS = torch.sin(torch.arange(24.0) * 2.1).reshape(2, 12) * 1.4


class TestContract(GeneratorContract):
    @pytest.fixture(params=[None, 3])
    def generator(self, biggan_folder: str, request: pytest.FixtureRequest) -> Generator:
        return BigGAN(biggan_folder, label=request.param)


@pytest.mark.parametrize(
    ("truncation", "expected"),
    [
        # What the published port, pytorch-pretrained-biggan 0.1.1, makes of the same tensors.
        (0.4, [0.14997, 0.40064, 0.14301, 0.38615, 0.41319]),
        (1.0, [0.14494, 0.11365, 0.20423, 0.46501, 0.28156]),
    ],
)
def test_makes_what_the_published_port_makes(
    truncation: float, expected: list[float], biggan_folder: str
) -> None:
    made = BigGAN(biggan_folder, truncation, label=3).render(LATENTS[:, :6])
    assert made.shape == (2, 3, 16, 16)
    found = [made[0, 0, 0, 0], made[0, 1, 7, 3], made[1, 2, 15, 8], made[1, 0, 4, 12], made.mean()]
    torch.testing.assert_close(torch.stack(found), torch.tensor(expected), atol=2e-4, rtol=0)


def test_a_product_of_noise_and_embedding(biggan_folder: str) -> None:
    generator = BigGAN(biggan_folder)
    assert isinstance(generator.space, Product)
    assert [part.dimension for part in generator.space.spec.parts] == [6, 6]
    # The latent of a class's embedding makes what the class makes.
    classes = state()["embeddings.weight"]
    deviation, mean = torch.std_mean(classes, dim=1, correction=0)
    latents = LATENTS.clone()
    latents[:, 6:] = ((classes[:, 3] - mean) / deviation).expand(2, -1)
    fixed = BigGAN(biggan_folder, label=3)
    assert fixed.space.dim == 6
    torch.testing.assert_close(
        generator.render(latents), fixed.render(latents[:, :6]), atol=1e-5, rtol=0
    )


def test_noise_is_the_truncated_normal() -> None:
    stats = pytest.importorskip("scipy.stats")
    noise = truncated_normal(torch.linspace(-9, 9, 181), 0.5)
    assert noise.abs().max() <= 1.0
    x = torch.linspace(-3, 3, 13)
    expected = stats.truncnorm(-2, 2).ppf(stats.norm.cdf(x.numpy())) * 0.5
    torch.testing.assert_close(
        truncated_normal(x, 0.5), torch.tensor(expected).float(), atol=1e-4, rtol=0
    )


def test_spectral_norms_are_divided_out_and_statistics_interpolated() -> None:
    layer = torch.nn.utils.spectral_norm(torch.nn.Linear(5, 4))
    layer.eval()(torch.zeros(1, 5))
    folded = at_truncation({f"a.{k}": v.detach() for k, v in layer.state_dict().items()}, 0.5)
    assert sorted(folded) == ["a.bias", "a.weight"]
    torch.testing.assert_close(folded["a.weight"], layer.weight.detach())
    means = torch.arange(51.0)[:, None].expand(51, 2)
    for truncation, expected in ((0.0, 0.0), (0.4, 20.0), (0.405, 20.25), (1.0, 50.0)):
        found = at_truncation({"bn.running_means": means}, truncation)["bn.running_mean"]
        torch.testing.assert_close(found, torch.full((2,), expected), atol=1e-3, rtol=0)


def test_weights_as_safetensors_and_folded(changed: Callable[..., str], biggan_folder: str) -> None:
    expected = BigGAN(biggan_folder).render(LATENTS)
    torch.testing.assert_close(BigGAN(changed()).render(LATENTS), expected)


def test_bad_folders(changed: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"config\.json.*; expected a folder of a published BigGAN"):
        _ = BigGAN(str(tmp_path / "absent")).space
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(NotFound, match=r"model\.safetensors'; expected a folder"):
        BigGAN(str(tmp_path)).render(LATENTS)
    for values, message in (
        ({"output_dim": 32}, "output_dim is 32, and the layers make 16"),
        ({"n_stats": "many"}, "n_stats"),
        ({"layers": [[1]]}, "layers"),
    ):
        with pytest.raises(InvalidSpec, match=f"no configuration of BigGAN-deep.*{message}"):
            _ = BigGAN(changed(**values)).space


def test_weights_that_do_not_fit_are_named(changed: Callable[..., str]) -> None:
    tensors = state()
    del tensors["generator.bn.bias"]
    tensors["extra"] = torch.zeros(1)
    with pytest.raises(InvalidSpec, match=r"lacks generator.bn.bias; the module has no extra"):
        BigGAN(changed(tensors)).render(LATENTS)
    tensors = state() | {"embeddings.weight": torch.zeros(6, 9)}
    with pytest.raises(InvalidSpec, match=r"is \(6, 9\) in the file and \(6, 5\)"):
        BigGAN(changed(tensors)).render(LATENTS)
    tensors = state()
    del tensors["generator.gen_z.weight_u"]
    with pytest.raises(InvalidSpec, match="spectral normalisation without the vectors"):
        BigGAN(changed(tensors)).render(LATENTS)


def test_bad_parameters(biggan_folder: str) -> None:
    for truncation in (0.0, 1.5):
        with pytest.raises(InvalidSpec, match="truncation: expected above 0, at most 1"):
            BigGAN(biggan_folder, truncation)
    with pytest.raises(InvalidSpec, match="label: expected 0 to 4, got 5"):
        _ = BigGAN(biggan_folder, label=5).space
