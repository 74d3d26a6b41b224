"""Problems at ImageNet's size: logits of SqueezeNet 1.0 for pictures of 227x227.

Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters and <0.5MB model size", 2016. A folder of assets has the weights
(`squeezenet10_imagenet.safetensors`, in the layout of songhan/SqueezeNet-Deep-Compression) and 200
photos of as many classes (`imagenet_sample_200.zip`, with `labels.csv`).
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from blackbox_am.core.generator import Generator
from blackbox_am.errors import NotFound
from blackbox_am.generators.data.pca import PCA
from blackbox_am.generators.parametric.dct import DCT
from blackbox_am.generators.parametric.fourier import Fourier
from blackbox_am.generators.parametric.maco import Maco
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.torch.torch_module import TorchModule

NAME = "squeezenet"
GENERATORS = ("dct_227", "fourier_227", "maco_227", "pca_227", "pixels_227")
WEIGHTS_FILE = "squeezenet10_imagenet.safetensors"
PHOTOS_FILE = "imagenet_sample_200.zip"
SIDE = 227
BATCH = 20
CLASSES = 1000
UNITS = tuple(f"logits:{number}" for number in (25, 150, 275, 400, 525, 650, 775, 900))
"""The classes of every 25th photo, from the sixth."""
MEAN = (123.0, 117.0, 104.0)
"""Mean of red, green and blue in 0 to 255."""
_FIRES = (
    ("fire2", 96, 16, 64),
    ("fire3", 128, 16, 64),
    ("fire4", 128, 32, 128),
    ("fire5", 256, 32, 128),
    ("fire6", 256, 48, 192),
    ("fire7", 384, 48, 192),
    ("fire8", 384, 64, 256),
    ("fire9", 512, 64, 256),
)
"""Name, channels in, squeezed channels, and channels of each of the two expansions."""
_POOLED = ("fire4", "fire8")


class Fire(nn.Module):
    """1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.e1 = nn.Conv2d(squeezed, expanded, 1)
        self.e3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, 2 * expanded, H, W)."""
        squeezed = functional.relu(self.squeeze(x))
        return torch.cat([self.e1(squeezed), self.e3(squeezed)], 1).relu()


class SqueezeNet(nn.Module):
    """Pictures (N, 3, 227, 227) in [0, 1] to logits (N, 1000), which are never below 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        self.fires = nn.ModuleDict({name: Fire(*sizes) for name, *sizes in _FIRES})
        self.conv_final = nn.Conv2d(512, CLASSES, 1, padding=1)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.logits = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = (x * 255 - x.new_tensor(MEAN)[:, None, None]).flip(1)  # trained on blue, green, red
        x = self.pool(functional.relu(self.conv1(x)))
        for name, fire in self.fires.items():
            x = fire(x)
            if name in _POOLED:
                x = self.pool(x)
        logits: torch.Tensor = self.logits(self.conv_final(x))
        return logits


def oracle(assets: Path) -> TorchModule:
    """SqueezeNet 1.0 of `assets`, on the CPU.

    Raises:
        NotFound: if `assets` lacks the weights.
    """
    model = SqueezeNet()
    state = {}
    for key, value in load_file(_existing(assets, WEIGHTS_FILE)).items():
        name = key.removeprefix("net.")
        state[f"fires.{name}" if name.startswith("fire") else name] = value.float()
    model.load_state_dict(state)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TorchModule(model, (3, SIDE, SIDE), device="cpu")


def photos(assets: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Stimuli (200, 3, 227, 227) float32 in [0, 1] and their classes (200,) int64.

    Raises:
        NotFound: if `assets` lacks the photos.
    """
    with zipfile.ZipFile(_existing(assets, PHOTOS_FILE)) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        pictures = []
        for row in rows:
            with archive.open(row["file"]) as stream, Image.open(stream) as image:
                pictures.append(np.asarray(image.convert("RGB")))
    stimuli = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return stimuli, torch.tensor([int(row["class"]) for row in rows])


def other_photos(assets: Path) -> torch.Tensor:
    """(192, 3, 227, 227): the photos of classes that are not among `UNITS`."""
    stimuli, classes = photos(assets)
    searched = torch.tensor([int(unit.partition(":")[2]) for unit in UNITS])
    return stimuli[~torch.isin(classes, searched)]


def generator(name: str, assets: Path) -> Generator:
    """One of `GENERATORS`, with default parameters; the components of `pca_227` are those of the
    photos of other classes, as many as there are.

    Raises:
        NotFound: if `assets` lacks the photos, which `pca_227` needs.
    """
    shape = (3, SIDE, SIDE)
    if name == "pca_227":
        others = other_photos(assets).numpy()
        return PCA(others, components=len(others) - 1)
    made: dict[str, type[DCT | Fourier | Maco | Pixels]] = {
        "dct_227": DCT,
        "fourier_227": Fourier,
        "maco_227": Maco,
        "pixels_227": Pixels,
    }
    return made[name](shape)


def recognised(stimuli: torch.Tensor, assets: Path) -> torch.Tensor:
    """(N,) int64: the class with the largest logit of each stimulus (N, 3, 227, 227)."""
    model = oracle(assets).model.eval()
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in torch.split(stimuli, BATCH)])


def _existing(assets: Path, name: str) -> Path:
    path = assets / name
    if not path.is_file():
        raise NotFound(f"the assets lack {name}; --assets must name the folder of this file")
    return path
