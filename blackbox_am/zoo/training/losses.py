"""What makes a picture a good reconstruction, and what makes it look natural."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def pixel_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Mean absolute difference, colour counted twice.

    Brightness varies far more than hue in natural images, so that plain L1 leaves the colours to
    the very end of a training.

    Args:
        real: Images ``(B, 3, H, W)``.
        fake: The same shape and range.

    Returns:
        A scalar >= 0.
    """
    difference = real - fake
    colour = difference - difference.mean(1, keepdim=True)
    return difference.abs().mean() + 2.0 * colour.abs().mean()


def feature_distance(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Mean distance of two images in the frozen teacher's feature space.

    Each stage's squared difference is divided by the stage's own variance over the originals, so
    that no stage outweighs the others.

    Args:
        real: Stage outputs ``(B, C_i, H_i, W_i)`` of the originals.
        fake: The same of the reconstructions.

    Returns:
        A scalar >= 0, about 1 for unrelated pictures.
    """
    total = torch.zeros((), device=real[0].device)
    for one, two in zip(real, fake, strict=True):
        total = total + (one - two).float().pow(2).mean() / (2.0 * one.float().var() + 1e-6)
    return total / len(real)


def moment_distance(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """How far batch statistics of teacher features differ: per-channel means and deviations.

    Needs no pairs, so it can pull pictures decoded from random latents towards natural ones.

    Args:
        real: Stage outputs ``(B, C_i, H_i, W_i)`` of natural images.
        fake: Stage outputs ``(B', C_i, H_i, W_i)`` of generated ones.

    Returns:
        A scalar >= 0.
    """
    total = torch.zeros((), device=real[0].device)
    for one, two in zip(real, fake, strict=True):
        a, b = one.float(), two.float()
        scale = a.std().detach() + 1e-6
        means = (a.mean((0, 2, 3)) - b.mean((0, 2, 3))).abs().mean()
        deviations = (a.std((0, 2, 3)) - b.std((0, 2, 3))).abs().mean()
        # Deviation within a picture, so that a flat grey one cannot hide behind the batch.
        within = (a.std((2, 3)).mean(0) - b.std((2, 3)).mean(0)).abs().mean()
        total = total + (means + deviations + within) / scale
    return total / len(real)


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence of a diagonal Gaussian ``(B, ...)`` from N(0, I), nats per image."""
    return 0.5 * (mean.pow(2) + logvar.exp() - 1.0 - logvar).flatten(1).sum(1).mean()


def covariance_gap(latents: Tensor) -> Tensor:
    """Estimate of ``||Cov(z) - I||^2 / D`` over the batch; pulls the pooled latents to N(0, I).

    The product of the two half-batches' errors has the squared error as its expectation without
    the bias that a small batch's own square would add.

    Args:
        latents: ``(B, ...)`` with ``D`` values each, B even.

    Returns:
        A scalar; single batches can give values below 0.
    """
    flat = latents.flatten(1)
    count, dims = flat.shape
    half = count // 2
    eye = torch.eye(dims, device=flat.device)
    first = flat[:half].T @ flat[:half] / half - eye
    second = flat[half : 2 * half].T @ flat[half : 2 * half] / half - eye
    return (first * second).sum() / dims


class Critic(nn.Module):
    """Small patch critic with spectral normalisation: ``(B, 3, 32, 32)`` to ``(B, 1, 4, 4)``.

    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.layers = nn.Sequential(
            norm(nn.Conv2d(3, width, 4, 2, 1)), nn.LeakyReLU(0.2),
            norm(nn.Conv2d(width, 2 * width, 4, 2, 1)), nn.LeakyReLU(0.2),
            norm(nn.Conv2d(2 * width, 4 * width, 4, 2, 1)), nn.LeakyReLU(0.2),
            norm(nn.Conv2d(4 * width, 1, 3, 1, 1)),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Scores; above 0 where a patch looks natural."""
        scores: Tensor = self.layers(x)
        return scores


def disturb(x: Tensor) -> Tensor:
    """Random brightness, saturation and shift of each image in [-1, 1], differentiable.

    The critic sees real and generated images only through this, which keeps it from learning
    10,000 images by heart (Zhao et al., "Differentiable Augmentation for Data-Efficient GAN
    Training", NeurIPS 2020).
    """
    count, _, height, width = x.shape
    shape = (count, 1, 1, 1)
    x = x + (torch.rand(shape, device=x.device) - 0.5) * 0.4
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (0.6 + 0.8 * torch.rand(shape, device=x.device))
    reach = 4
    down, right = (int(v) for v in torch.randint(0, 2 * reach + 1, (2,)))
    padded = functional.pad(x, (reach,) * 4)
    return padded[:, :, down : down + height, right : right + width]


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of the critic's scores."""
    return functional.relu(1.0 - real.float()).mean() + functional.relu(1.0 + fake.float()).mean()


def decibels(mean_square_error: float) -> float:
    """Peak signal-to-noise ratio of images in [0, 1]."""
    return -10.0 * math.log10(max(mean_square_error, 1e-12))
