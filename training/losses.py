"""Losses of the generators: reconstruction errors, image statistics, a patch critic."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def pixel_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Mean absolute difference with double weight on colour.

    Luma varies far more than hue in natural images. With a plain L1 loss, a net would learn the
    colours only at the end of its training.

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
    """Mean distance of two images in the feature space of the frozen teacher.

    The squared difference of each stage is divided by the variance of the stage over the
    originals, so that all stages have similar weight.

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


def picture_statistics(x: Tensor) -> Tensor:
    """Statistics that distinguish natural pictures from oversaturated or flat ones.

    Args:
        x: Images ``(B, 3, H, W)``.

    Returns:
        ``(B, 9)``: mean and standard deviation of each channel, mean gradient magnitude of luma
        and of colour, mean saturation.
    """
    grey = x.mean(1, keepdim=True)
    colour = x - grey

    def steepness(y: Tensor) -> Tensor:
        across, down = y[..., 1:] - y[..., :-1], y[..., 1:, :] - y[..., :-1, :]
        return across.abs().mean((1, 2, 3)) + down.abs().mean((1, 2, 3))

    rest = torch.stack([steepness(grey), steepness(colour), colour.abs().mean((1, 2, 3))], dim=1)
    return torch.cat([x.mean((2, 3)), x.std((2, 3)), rest], dim=1)


def statistics_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Distance of the distributions of :func:`picture_statistics` of two sets of images.

    For each statistic, the sorted values of both batches are compared (the one-dimensional
    Wasserstein distance), so that a few bad pictures count even if the average is good. The loss
    needs no pairs of images: it also applies to pictures that are decoded from random latents.
    The loss uses no deep features, which a generator could exploit.

    Args:
        real: Natural images ``(B, 3, H, W)``.
        fake: Generated images ``(B', 3, H, W)``, same range.

    Returns:
        A scalar >= 0, in units of the standard deviations of the natural images.
    """
    natural, found = picture_statistics(real), picture_statistics(fake)
    ranks = (torch.arange(len(fake), device=fake.device) + 0.5) / len(fake)
    wanted = torch.quantile(natural, ranks, dim=0)
    gap = (found.sort(dim=0).values - wanted).abs()
    return (gap / (natural.std(0) + 1e-6)).mean()


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence of a diagonal Gaussian ``(B, ...)`` from N(0, I), nats per image."""
    return 0.5 * (mean.pow(2) + logvar.exp() - 1.0 - logvar).flatten(1).sum(1).mean()


def covariance_gap(latents: Tensor) -> Tensor:
    """Estimate of ``||Cov(z) - I||^2 / D`` over the batch; a penalty on latents unlike N(0, I).

    The estimate multiplies the errors of the two halves of the batch. The expectation of this
    product is the squared error, whereas the square of one small batch's error is biased.

    Args:
        latents: ``(B, ...)`` with ``D`` values each, B even.

    Returns:
        A scalar; it can be below 0 for a single batch.
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
        """Scores; a score above 0 means that the patch looks natural."""
        scores: Tensor = self.layers(x)
        return scores


def disturb(x: Tensor) -> Tensor:
    """Random brightness, saturation and shift of each image in [-1, 1], differentiable.

    The critic sees real and generated images only after this change, so that it cannot memorise
    10,000 images (Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training",
    NeurIPS 2020).
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
