"""Small untrained autoencoders in diffusers' layout, made once."""

import json
from pathlib import Path

import pytest
import torch


def _write(model: torch.nn.Module, folder: Path) -> str:
    model.eval().save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the user's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An AutoencoderKL of 16x16 pictures with latents (2, 4, 4) and a scaling factor of 0.5."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 4, 8),
        layers_per_block=1,
        latent_channels=2,
        norm_num_groups=2,
        sample_size=16,
        scaling_factor=0.5,
    )
    return _write(model, tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="session")
def vq_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A VQModel of 16x16 pictures with a grid of 8x8 codes out of 20."""
    from diffusers import VQModel

    torch.manual_seed(0)
    model = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        layers_per_block=1,
        latent_channels=3,
        num_vq_embeddings=20,
        norm_num_groups=2,
        sample_size=16,
    )
    torch.nn.init.normal_(model.quantize.embedding.weight)
    return _write(model, tmp_path_factory.mktemp("vq"))


@pytest.fixture
def with_config(tmp_path: Path):
    """A copy of a model's folder with some values of config.json changed."""

    def change(folder: str, **values: object) -> str:
        for path in Path(folder).iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | values))
        return str(tmp_path)

    return change
