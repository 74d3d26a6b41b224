"""A small adversarial net: SN-GAN's generator against a discriminator with spectral norm."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from blackbox_am.errors import InvalidInput
from blackbox_am.fitting.training import Trainer
from blackbox_am.zoo.gans import FIRST, GanArchitecture

WIDTHS = (256, 256, 128, 64, 32, 16, 16)
"""Channels at 4x4 pixels, 8x8 and so on."""
LATENT = 128
FILE = "net.safetensors"
REACH = 1 / 8
"""Largest translation of an augmented picture, as a share of its side."""


def architecture(size: int) -> GanArchitecture:
    """The generator of pictures of `size`.

    Raises:
        InvalidInput: if `size` is not 4 times a power of two, 8 to 256.
    """
    doublings = round(math.log2(max(size, 1) / FIRST))
    if not 1 <= doublings < len(WIDTHS) or FIRST << doublings != size:
        raise InvalidInput(
            f"size: expected 8, 16, 32, 64, 128 or 256 for a gan, got {size}; put the wrapper "
            "resize around the generator for another size",
            field="size",
        )
    return GanArchitecture(latent=LATENT, style="sngan", widths=WIDTHS[: doublings + 1])


class Discriminator(nn.Module):
    """Pictures (B, 3, S, S) in [-1, 1] to scores (B, 1), in convolutions of stride 2."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in reversed(widths[:-1]):
            layers += [_normed(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.head = _normed(nn.Linear(before * FIRST * FIRST, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Scores; above 0 means natural."""
        scores: torch.Tensor = self.head(self.layers(pictures).flatten(1))
        return scores


def _normed(module: nn.Module) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(module)


class GanTrainer(Trainer):
    """Hinge losses (Miyato and others, "Spectral normalization for generative adversarial
    networks", 2018), one step of each net, on pictures that are shifted in place and brightness for
    both nets (Zhao and others, "Differentiable augmentation for data-efficient GAN training",
    2020).
    """

    peak = 2e-4

    def __init__(self, size: int, device: torch.device) -> None:
        made = architecture(size)
        self.generator = made.build().to(device)
        self.critic = Discriminator(made.widths).to(device)
        self.nets = {"kept": self.generator, "critic": self.critic}
        self.optimizers = {
            name: torch.optim.Adam(net.parameters(), betas=(0.0, 0.99))
            for name, net in self.nets.items()
        }

    def step(self, pictures: torch.Tensor, done: float) -> dict[str, float]:
        count, rate = len(pictures), self.rate(done)
        made = self.generator(torch.randn(count, LATENT, device=pictures.device))
        scores = self.critic(augmented(torch.cat([pictures, made.detach()])))
        doubt = (
            functional.relu(1 - scores[:count]).mean() + functional.relu(1 + scores[count:]).mean()
        )
        self.descend("critic", doubt, 2 * rate)
        self.critic.requires_grad_(False)
        liked = self.critic(augmented(made)).mean()
        self.descend("kept", -liked, rate)
        self.critic.requires_grad_(True)
        return {"doubt": float(doubt.detach()), "liked": float(liked.detach())}


def augmented(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 3, S, S) in [-1, 1], each with another brightness, and moved by up to an eighth
    of its side; the edge is filled with 0. Gradients pass.
    """
    count, side = len(pictures), pictures.shape[3]
    lit = pictures + (torch.rand(count, 1, 1, 1, device=pictures.device) - 0.5)
    reach = max(1, round(side * REACH))
    steps = torch.randint(-reach, reach + 1, (2, count, 1), device=pictures.device)
    places = torch.arange(side, device=pictures.device)
    # A product with a matrix of zeros and ones moves the rows, another one the columns.
    down, across = ((places[None, :, None] + s[..., None] == places).float() for s in steps)
    moved: torch.Tensor = down[:, None] @ lit @ across[:, None]
    return moved


def write(state: dict[str, torch.Tensor], size: int, folder: Path, licence: str) -> None:
    """Writes the files that the generator `gan` reads."""
    kept = {key: value.cpu().contiguous() for key, value in state.items()}
    save_file({k: v for k, v in kept.items() if v.is_floating_point()}, folder / FILE)
    facts = {"architecture": architecture(size).plain(), "licence": licence}
    beside = (folder / FILE).with_suffix(".json")
    beside.write_text(json.dumps(facts, indent=2) + "\n")
