"""The network of BigGAN-deep at one truncation, built from the tensors of a published model."""

from __future__ import annotations

import math

import msgspec
import torch
from torch import nn
from torch.nn import functional

State = dict[str, torch.Tensor]


class BigGANConfig(msgspec.Struct, frozen=True):
    """The content of config.json beside the weights, with the names of the published models.

    Attributes:
        output_dim: side of the images.
        z_dim: noise coordinates.
        class_embed_dim: coordinates of a class's embedding.
        channel_width: numbers of channels are multiples of `channel_width`.
        num_classes: number of classes.
        layers: (whether it doubles the side, channels in, channels out), in multiples.
        attention_layer_position: the block before which self-attention stands.
        eps: added to variances.
        n_stats: truncations, evenly spaced from 0 to 1, that statistics are stored for.
    """

    output_dim: int
    z_dim: int
    class_embed_dim: int
    channel_width: int
    num_classes: int
    layers: tuple[tuple[bool, int, int], ...]
    attention_layer_position: int
    eps: float
    n_stats: int

    def __post_init__(self) -> None:
        side = 4 * 2 ** sum(doubles for doubles, _, _ in self.layers)
        if side != self.output_dim:
            raise ValueError(f"output_dim is {self.output_dim}, and the layers make {side}")
        if self.n_stats < 2:
            raise ValueError(f"n_stats must be 2 or more, got {self.n_stats}")


def at_truncation(state: State, truncation: float) -> State:
    """The tensors of the network at one truncation.

    Weights under spectral normalisation, `weight_orig` with the vectors `weight_u` and
    `weight_v`, become weight_orig / (u' W v) (Miyato, Kataoka, Koyama and Yoshida, "Spectral
    normalization for generative adversarial networks", 2018). Of the statistics of batch
    normalisation, (n_stats, C), the values for the truncation are interpolated linearly between the
    two nearest stored truncations. The published code weighs the nearer of the two less; at stored
    truncations, multiples of 0.02, there is no difference.
    """
    made: State = {}
    for key, tensor in state.items():
        stem, _, name = key.rpartition(".")
        if name == "weight_orig":
            u, v = state[f"{stem}.weight_u"], state[f"{stem}.weight_v"]
            made[f"{stem}.weight"] = tensor / torch.dot(u, tensor.flatten(1) @ v)
        elif name in ("running_means", "running_vars"):
            place = truncation * (len(tensor) - 1)
            low = min(int(place), len(tensor) - 2)
            made[f"{stem}.{name[:-1]}"] = torch.lerp(tensor[low], tensor[low + 1], place - low)
        elif name not in ("weight_u", "weight_v"):
            made[key] = tensor
    return made


class _Whitening(nn.Module):
    """Batch normalisation by stored statistics, without gain and shift."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_mean", torch.empty(channels))
        self.register_buffer("running_var", torch.empty(channels))

    def white(self, x: torch.Tensor) -> torch.Tensor:
        return functional.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)


class _Norm(_Whitening):
    """Batch normalisation whose gain and shift depend on the condition (N, condition)."""

    def __init__(self, channels: int, condition: int, eps: float) -> None:
        super().__init__(channels, eps)
        self.scale = nn.Linear(condition, channels, bias=False)
        self.offset = nn.Linear(condition, channels, bias=False)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        gain, shift = 1 + self.scale(condition), self.offset(condition)
        normal: torch.Tensor = self.white(x) * gain[:, :, None, None] + shift[:, :, None, None]
        return normal


class _LastNorm(_Whitening):
    """Batch normalisation with a learnt gain and shift."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__(channels, eps)
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.white(x) * self.weight[:, None, None] + self.bias[:, None, None]


class _Block(nn.Module):
    """A residual bottleneck; the skip path drops channels, and is doubled by copying."""

    def __init__(self, doubles: bool, wide: int, out: int, condition: int, eps: float) -> None:
        super().__init__()
        narrow = wide // 4
        self.doubles, self.out = doubles, out
        sizes = ((wide, narrow, 1), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, out, 1))
        for i, (before, after, kernel) in enumerate(sizes):
            setattr(self, f"bn_{i}", _Norm(before, condition, eps))
            setattr(self, f"conv_{i}", nn.Conv2d(before, after, kernel, padding=kernel // 2))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        skip, hidden = x[:, : self.out], x
        for i in range(4):
            hidden = functional.relu(getattr(self, f"bn_{i}")(hidden, condition))
            if i == 1 and self.doubles:
                hidden = functional.interpolate(hidden, scale_factor=2)
            hidden = getattr(self, f"conv_{i}")(hidden)
        if self.doubles:
            skip = functional.interpolate(skip, scale_factor=2)
        return hidden + skip


class _Attention(nn.Module):
    """Self-attention of every place to the maxima of all 2 x 2 squares of places (Zhang and others
    2019).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snconv1x1_theta = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.empty(1))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        del condition
        queries = self.snconv1x1_theta(x).flatten(2)
        keys = functional.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        values = functional.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        weights = torch.softmax(queries.transpose(1, 2) @ keys, dim=2)
        seen = (values @ weights.transpose(1, 2)).reshape(len(x), -1, *x.shape[2:])
        attended: torch.Tensor = x + self.gamma * self.snconv1x1_o_conv(seen)
        return attended


class _Synthesis(nn.Module):
    def __init__(self, config: BigGANConfig) -> None:
        super().__init__()
        condition, width = config.z_dim + config.class_embed_dim, config.channel_width
        self.first = config.layers[0][1] * width
        self.gen_z = nn.Linear(condition, 16 * self.first)
        layers: list[nn.Module] = []
        for i, (doubles, before, after) in enumerate(config.layers):
            if i == config.attention_layer_position:
                layers.append(_Attention(before * width))
            layers.append(_Block(doubles, before * width, after * width, condition, config.eps))
        self.layers = nn.ModuleList(layers)
        last = config.layers[-1][2] * width
        self.bn = _LastNorm(last, config.eps)
        self.conv_to_rgb = nn.Conv2d(last, last, 3, padding=1)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        # The dense layer numbers its outputs by row, column, and only then channel.
        x = self.gen_z(condition).reshape(-1, 4, 4, self.first).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, condition)
        # The last convolution has more output channels than there are colours.
        weight, bias = self.conv_to_rgb.weight[:3], self.conv_to_rgb.bias
        shown = functional.relu(self.bn(x))
        return torch.tanh(
            functional.conv2d(shown, weight, None if bias is None else bias[:3], padding=1)
        )


class BigGANDeep(nn.Module):
    """Noise (N, z_dim) and class embeddings (N, class_embed_dim) to images in [-1, 1].

    Brock, Donahue and Simonyan, "Large scale GAN training for high fidelity natural image
    synthesis", 2019, appendix B, the deep variant. The names are those of the published models.
    """

    def __init__(self, config: BigGANConfig) -> None:
        super().__init__()
        self.embeddings = nn.Linear(config.num_classes, config.class_embed_dim, bias=False)
        self.generator = _Synthesis(config)

    def forward(self, noise: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.generator(torch.cat([noise, embedding], dim=1))
        return images


def truncated_normal(x: torch.Tensor, truncation: float) -> torch.Tensor:
    """Noise for numbers of N(0, 1): truncation times N(0, 1) within two deviations.

    The inverse of one distribution function after the other, so that the noise is
    distributed exactly as the published models draw it.
    """
    most = math.erf(2 / 2**0.5)
    inside = torch.erf(x / 2**0.5) * most
    return truncation * 2**0.5 * torch.erfinv(inside)
