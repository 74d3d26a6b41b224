"""The frozen ResNet-20 that computes distillation targets and feature losses."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.zoo.nets import BasicBlock, CifarResNet

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """Subtract a per-channel mean and divide by a per-channel deviation.

    Args:
        mean: One number for each channel.
        std: One number for each channel.
        dims: Axes after the channels: 2 for pictures ``(B, C, H, W)``, 1 for series ``(B, C, T)``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD, dims: int = 2
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, *(1,) * dims))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, *(1,) * dims))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise pictures or series given in [0, 1]."""
        return (x - self.mean) / self.std


class Teacher(nn.Module):
    """A frozen classifier of images in [0, 1], with its stage outputs.

    Args:
        net: The classifier of normalised images.
    """

    def __init__(self, net: CifarResNet) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.net = net
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, 10)`` for images ``(B, 3, 32, 32)`` in [0, 1]."""
        logits: Tensor = self.net(self.normalise(x))
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """Outputs of the three stages for images in [0, 1]; see :meth:`CifarResNet.features`."""
        return self.net.features(self.normalise(x))[1:]


def _fuse(net: CifarResNet) -> None:
    """Fold every batch norm into the convolution before it, which halves the time."""
    pairs: list[tuple[nn.Module, str, str]] = [(net, "stem", "stem_bn")]
    for module in net.modules():
        if isinstance(module, BasicBlock):
            pairs += [(module, "conv1", "bn1"), (module, "conv2", "bn2")]
    for owner, conv, norm in pairs:
        fused = fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm))
        setattr(owner, conv, fused)
        setattr(owner, norm, nn.Identity())


def load_teacher(path: Path, device: torch.device) -> Teacher:
    """Load a ResNet-20 (option A, widths 16/32/64) from a safetensors file.

    In the file, the first layer is named ``conv1``/``bn1`` and the last ``linear``, as in the
    original implementation of the net.

    Raises:
        NotFound: The file is absent.
        StoreCorrupt: The file is not a safetensors file of such a net.
    """
    if not path.is_file():
        raise NotFound(f"Teacher weights {path} do not exist; --teacher names the file to read.")
    ours = {"conv1": "stem", "bn1": "stem_bn", "linear": "head"}
    net = CifarResNet((16, 32, 64), (3, 3, 3), shortcut="pad")
    try:
        state = {}
        for name, value in load_file(path).items():
            first, _, rest = name.partition(".")
            state[f"{ours.get(first, first)}.{rest}"] = value
        missing, unexpected = net.load_state_dict(state, strict=False)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise StoreCorrupt(f"Teacher weights {path} cannot be read: {error}.") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise StoreCorrupt(f"Teacher weights {path} are of another net; missing {missing[:3]}.")
    net.eval()
    _fuse(net)
    return Teacher(net).to(device)
