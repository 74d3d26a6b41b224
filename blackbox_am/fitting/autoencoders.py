"""Small autoencoders in diffusers' layout: with continuous latents, and with codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from blackbox_am.errors import InvalidInput
from blackbox_am.fitting.images import as_stimuli
from blackbox_am.fitting.training import Trainer

WIDTHS = (32, 64, 96, 128, 128, 128)
"""Channels of each level; each level except the last halves the picture."""
VAE_GRID = 8
VQ_GRID = 16
"""Sides of the latent grids of large pictures."""
LATENT = 8
CODES = 512
CODE = 8
NATS = 0.02
"""Weight of the divergence from N(0, I), in nats for each value of a picture."""
COVARIANCE = 0.005
RENEWED = 50
"""Steps after which codes without use become latents of current pictures."""
BATCH = 50
MEASURED = 500


def halvings(size: int, grid: int) -> int:
    """How often pictures of `size` are halved, 1 to 5 times, so that the grid's side is about
    `grid`.

    Raises:
        InvalidInput: if `size` cannot be halved as often.
    """
    count = min(max(1, round(math.log2(size / grid))), len(WIDTHS) - 1)
    if size % 2**count or size < 16:
        raise InvalidInput(
            f"size: expected a multiple of {2**count}, 16 or more, got {size}; fit a size such as "
            f"{max(16, round(size / 2**count) * 2**count)} and put the wrapper resize around the "
            "generator",
            field="size",
        )
    return count


def build(kind: str, size: int) -> Any:
    """A new AutoencoderKL (`vae`) or VQModel (`vq`) for pictures (B, 3, size, size) in [-1, 1]."""
    import diffusers

    levels = halvings(size, VAE_GRID if kind == "vae" else VQ_GRID) + 1
    shared: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": WIDTHS[:levels],
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "sample_size": size,
        "scaling_factor": 1.0,
    }
    maker: Any = diffusers.AutoencoderKL if kind == "vae" else diffusers.VQModel
    if kind == "vae":
        return maker(latent_channels=LATENT, **shared)
    return maker(latent_channels=CODE, vq_embed_dim=CODE, num_vq_embeddings=CODES, **shared)


def difference(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of pictures (B, 3, S, S), over three scales and with double weight
    on colour.
    """
    total = torch.zeros((), device=real.device)
    for scale in (1, 2, 4):
        apart = functional.avg_pool2d(real - made, scale)
        colour = apart - apart.mean(1, keepdim=True)
        total = total + (apart.abs().mean() + 2 * colour.abs().mean()) / 3
    return total


class VAETrainer(Trainer):
    """Kingma and Welling, "Auto-encoding variational Bayes", 2014, with absolute differences, and
    with the distance of the latents' covariance from the identity.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.vae = build("vae", size).to(device)
        self.nets = {"kept": self.vae}
        self.optimizers = {"kept": torch.optim.Adam(self.vae.parameters(), betas=(0.9, 0.98))}

    def step(self, pictures: torch.Tensor, done: float) -> dict[str, float]:
        posterior = self.vae.encode(pictures).latent_dist
        mean, logvar = posterior.mean, posterior.logvar
        latents = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        pixels = difference(pictures, self.vae.decode(latents).sample)
        nats = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1).mean()
        loss = pixels + NATS * nats / pictures[0].numel() + COVARIANCE * _covariance_gap(latents)
        self.descend("kept", loss, self.rate(done))
        return {"pixels": float(pixels.detach()), "nats": float(nats.detach())}


class VQTrainer(Trainer):
    """Van den Oord, Vinyals and Kavukcuoglu, "Neural discrete representation learning", 2017.
    Codes that no picture uses are replaced by latents of current pictures in the first 70 % of the
    training.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.vq = build("vq", size).to(device)
        self.nets = {"kept": self.vq}
        self.optimizers = {"kept": torch.optim.Adam(self.vq.parameters(), betas=(0.9, 0.98))}
        self._used = torch.zeros(CODES, dtype=torch.bool)
        self._steps = 0

    def step(self, pictures: torch.Tensor, done: float) -> dict[str, float]:
        vectors = self.vq.encode(pictures).latents
        chosen, commitment, (_, _, codes) = self.vq.quantize(vectors)
        made = self.vq.decoder(self.vq.post_quant_conv(chosen))
        pixels = difference(pictures, made)
        self.descend("kept", pixels + commitment, self.rate(done))
        self._renew(vectors.detach(), codes, done)
        return {"pixels": float(pixels.detach()), "commitment": float(commitment.detach())}

    @torch.no_grad()
    def _renew(self, vectors: torch.Tensor, codes: torch.Tensor, done: float) -> None:
        self._used[codes.flatten().cpu()] = True
        self._steps += 1
        if self._steps % RENEWED and self._steps > 1:
            return
        if done < 0.7:
            entries = self.vq.quantize.embedding.weight
            flat = vectors.permute(0, 2, 3, 1).flatten(0, 2)
            idle = (~self._used).nonzero().squeeze(1).to(entries.device)
            entries[idle] = flat[torch.randint(len(flat), (len(idle),), device=flat.device)]
        self._used.zero_()


def _covariance_gap(latents: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of the covariance of latents (B, C, H, W) over the channels from the
    identity.
    """
    flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
    centred = flat - flat.mean(0)
    covariance = centred.T @ centred / len(flat)
    return (covariance - torch.eye(len(covariance), device=flat.device)).square().sum()


@torch.no_grad()
def write(kind: str, state: dict[str, torch.Tensor], pixels: torch.Tensor, folder: Path) -> None:
    """Writes the model in `save_pretrained`'s layout, with the mean and the deviation of each
    latent channel over the first `MEASURED` pictures.
    """
    model = build(kind, pixels.shape[2])
    model.load_state_dict(state)
    model.eval()
    found = []
    for part in torch.split(pixels[:MEASURED], BATCH):
        encoded = model.encode(as_stimuli(part) * 2 - 1)
        found.append(encoded.latent_dist.sample() if kind == "vae" else encoded.latents)
    latents = torch.cat(found)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["latents_mean"] = [round(v, 5) for v in latents.mean((0, 2, 3)).tolist()]
    spread = latents.std((0, 2, 3)).clamp_min(1e-3)
    config["latents_std"] = [round(v, 5) for v in spread.tolist()]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
