"""Small networks of the shapes that people have, each with the layout of every layer.

A layout names the axes of a module's output as the module returns it: N the stimuli, C the units,
T tokens or time, H, W, D space, `_` anything else. `k` is what was folded into the axis of stimuli:
`Nk` where the parts of one stimulus lie beside each other, `kN` where each part holds all stimuli.
`+T` are tokens of which the first is a class token.
"""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

IMAGE = (3, 16, 16)


@dataclasses.dataclass
class Architecture:
    """A network and what a person would say of its layers.

    Attributes:
        make: makes it.
        shape: of one stimulus.
        layouts: by a regular expression for the whole name of a layer; the first that fits counts.
        absent: names that must be listed as not addressable.
        keys: for names of outputs that no module has: where they are in the model's output.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layouts: dict[str, str]
    absent: tuple[str, ...] = ()
    keys: dict[str, Callable[[object], torch.Tensor]] = dataclasses.field(default_factory=dict)


class Residual(nn.Module):
    def __init__(self, width: int, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.body(x))


def resnet() -> nn.Module:
    block = [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)]
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        Residual(8, *block, nn.Conv2d(8, 8, 3, padding=1)),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


class Dense(nn.Module):
    """Concatenated features, a squeeze-and-excitation gate, and shuffled channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, 1)
        self.grow = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
        self.joined = nn.Identity()
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(10, 3, 1), nn.SiLU())
        self.excite = nn.Sequential(nn.Conv2d(3, 10, 1), nn.Hardsigmoid())
        self.gated = nn.Identity()
        self.shuffle = nn.ChannelShuffle(2)
        self.head = nn.Linear(10, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.joined(torch.cat([x, self.grow(x)], dim=1))
        x = self.gated(x * self.excite(self.squeeze(x)))
        return self.head(self.shuffle(x).mean((2, 3)))


class ConvNeXt(nn.Module):
    """Channels last inside of each block, a layer norm over channels first at the end."""

    class Norm(nn.LayerNorm):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
            self.norm = nn.LayerNorm(8)
            self.expand = nn.Linear(8, 16)
            self.act = nn.GELU()
            self.drop = nn.Dropout(0.1)
            self.reduce = nn.Linear(16, 8)
            self.scale = nn.Parameter(torch.rand(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
            y = self.scale * self.reduce(self.drop(self.act(self.expand(y))))
            return x + y.permute(0, 3, 1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(self.Block(), self.Block())
        self.norm = self.Norm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.stem(x))).mean((2, 3)))


class Windows(nn.Module):
    """Attention inside of windows, which are folded into the batch, as in Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 2, 2)
        self.norm = nn.LayerNorm(8)
        self.windows = nn.Identity()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.merged = nn.Identity()
        self.reduce = nn.Linear(32, 16, bias=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.embed(x).permute(0, 2, 3, 1))  # (N, 8, 8, C)
        n = len(x)
        folded = x.view(n, 2, 4, 2, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(n * 4, 16, 8)
        folded = self.windows(folded)
        folded = self.attend(folded, folded, folded, need_weights=False)[0]
        back = folded.view(n, 2, 2, 4, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(n, 8, 8, 8)
        x = self.merged(x + back)
        quarters = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.head(self.reduce(torch.cat(quarters, -1)).mean((1, 2)))


class EcgLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(4, 6, 7, 4, 3), nn.BatchNorm1d(6), nn.ReLU())
        self.lstm = nn.LSTM(6, 9, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(18, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.drop(self.lstm(self.conv(x).transpose(1, 2))[0]).mean(1))


class SequenceFirst(nn.Module):
    """Convolutions, then a transformer and a GRU that take time before stimuli."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, 4)
        self.transposed = nn.Identity()
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.gru = nn.GRU(8, 7)
        self.fc = nn.Linear(7, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.transposed(self.conv(x).permute(2, 0, 1))
        return self.fc(self.gru(self.encoder(x))[0][-1])


class OpenAiViT(nn.Module):
    """Tokens before stimuli, a class token in front, and a rectangular picture."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.class_embedding = nn.Parameter(torch.randn(8))
        self.positions = nn.Parameter(torch.randn(9, 8))
        self.pre = nn.LayerNorm(8)
        self.attend = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8))
        self.post = nn.LayerNorm(8)
        self.proj = nn.Linear(8, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        token = self.class_embedding + torch.zeros(len(x), 1, 8, dtype=x.dtype)
        x = self.pre(torch.cat([token, x], dim=1) + self.positions).permute(1, 0, 2)
        y = self.norm(x)
        x = x + self.attend(y, y, y, need_weights=False)[0]
        x = x + self.mlp(x)
        return self.proj(self.post(x.permute(1, 0, 2)[:, 0]))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.tokens = nn.Sequential(nn.Linear(16, 12), nn.GELU(), nn.Linear(12, 16))
        self.after = nn.Identity()
        self.channels = nn.Sequential(nn.Linear(8, 24), nn.GELU(), nn.Linear(24, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = self.after(x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2))
        x = x + self.channels(self.norm2(x))
        return self.head(x.mean(1))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.AvgPool2d(2)
        self.middle = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(4, 6, 3), nn.LeakyReLU())
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.joined = nn.Identity()
        self.out = nn.Conv2d(10, 12, 1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(x)
        y = self.up(self.middle(self.pool(x)))
        return self.shuffle(self.out(self.joined(torch.cat([x, y], 1))))


class Autoencoder(nn.Module):
    """A vector that becomes a map by a view, and one channel somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(3, 1, 4, 4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 6)
        )
        self.expand = nn.Linear(6, 4 * 5 * 5)
        self.unflatten = nn.Unflatten(1, (4, 5, 5))
        self.decode = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(4, 3, 3, 2), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.unflatten(self.expand(self.encode(x))))


class Clips(nn.Module):
    """Frames folded into the batch, then a recurrence over their features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.frame = nn.Linear(6, 7)
        self.gru = nn.GRU(7, 8, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t = x.shape[:2]
        y = self.frame(self.pool(self.conv(x.flatten(0, 1))).flatten(1))
        return self.head(self.gru(y.view(n, t, 7))[0][:, -1])


class Crops(nn.Module):
    """Two crops of each picture, stacked one batch behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.act = nn.ReLU()
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.cat([x[..., :8], x[..., 8:]])
        scores = self.head(self.act(self.conv(both)).mean((2, 3)))
        return scores.view(2, len(x), 5).mean(0)


class Spectral(nn.Module):
    """A Fourier layer with complex weights, as in neural operators."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, 6, 4, 3, dtype=torch.cfloat))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = torch.fft.rfft2(x)
            mixed = torch.zeros(len(x), 6, *found.shape[2:], dtype=found.dtype)
            mixed[:, :, :4, :3] = torch.einsum("bixy,ioxy->boxy", found[:, :, :4, :3], self.weight)
            return torch.fft.irfft2(mixed, s=x.shape[2:])

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv2d(3, 6, 1)
        self.spectral = self.Layer()
        self.local = nn.Conv2d(6, 6, 1)
        self.act = nn.GELU()
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lift(x)
        return self.head(self.act(self.spectral(x) + self.local(x)))


class Graph(nn.Module):
    """Graph convolutions: rows are nodes, mixed by a constant matrix on the left."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.rand(7, 7))
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 5)
        self.mixed = nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.mixed(self.adjacency @ self.first(x)))
        return self.second(self.adjacency @ x).mean(1)


class EinsumAttention(nn.Module):
    """Weights without modules, attention by einsum, outputs in pairs."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Parameter(torch.randn(8, 3, 2, 4))
            self.out = nn.Parameter(torch.randn(2, 4, 8))
            self.values = nn.Identity()

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            q, k, v = torch.einsum("btd,dkhe->kbhte", x, self.qkv)
            weights = torch.einsum("bhte,bhse->bhts", q, k).softmax(-1)
            values = self.values(torch.einsum("bhts,bhse->bthe", weights, v).flatten(2))
            return torch.einsum("bthe,hed->btd", values.unflatten(2, (2, 4)), self.out), weights

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.attention = self.Attention()
        self.gate = nn.Linear(8, 12)
        self.glu = nn.GLU()
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        x = x + self.attention(x)[0]
        return self.head(self.glu(self.gate(x))[:, -1])


class StandardisedConv(nn.Conv2d):
    """A convolution with a forward of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, w, self.bias, padding=1)


class OwnNorm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        return (x - mean) * (x.var((1, 2, 3), keepdim=True) + 1e-5).rsqrt()


def standardised() -> nn.Module:
    return nn.Sequential(
        StandardisedConv(3, 6, 3),
        OwnNorm(),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 3)),
        nn.PReLU(4),
        nn.GroupNorm(2, 4),
        nn.Softmax2d(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
    )


class Cells(nn.Module):
    """Recurrent cells in a loop, their states stacked with time first."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 6)
        self.states = nn.Identity()
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(len(x), 6)
        states = []
        for step in x.unbind(2):
            state = self.cell(step, state)
            states.append(state)
        return self.head(self.states(torch.stack(states))[-1])


class Age(nn.Module):
    """One number a picture, (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(768, 6), nn.ReLU())
        self.head = nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * torch.sigmoid(self.head(self.body(x)).squeeze(-1))


@dataclasses.dataclass
class Record:
    logits: torch.Tensor
    maps: dict[str, torch.Tensor]


Pair = namedtuple("Pair", ["scores", "features"])  # noqa: PYI024


class Outputs(nn.Module):
    """Everything that a model may return."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> object:
        maps = self.conv(x)
        means = maps.mean((2, 3))
        return {
            "dict": {"logits": means, "aux/edge": {"map": maps.permute(0, 2, 3, 1)}},
            "record": Record(means, {"last:one": maps}),
            "pair": Pair(means, [maps, means.unsqueeze(0)]),
        }[self.how]


class OddNames(nn.Module):
    """Names as DCGAN code has them, and a module called like the model's output."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("initial:3-8:conv", nn.Conv2d(3, 8, 4))
        self.add_module('act 1@"x"', nn.ReLU())
        self.output = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for module in list(self.children())[:2]:
            x = module(x)
        return self.output(x.mean((2, 3))).softmax(1)


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Conv1d(3, 6, 1), nn.BatchNorm1d(6), nn.ReLU())
        self.global_feature = nn.Identity()
        self.joined = nn.Identity()
        self.segment = nn.Conv1d(12, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.mlp(x)
        top = self.global_feature(x.max(2, keepdim=True)[0])
        return self.segment(self.joined(torch.cat([x, top.expand_as(x)], 1)))


class Causal(nn.Module):
    """A temporal convolution that is padded by one zero in front: not a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 6)
        self.shifted = nn.Identity()
        self.conv = nn.Conv1d(6, 5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        x = self.shifted(torch.cat([torch.zeros(len(x), 1, 6), x], 1))
        return self.conv(x.transpose(1, 2)).mean(2)


class Experts(nn.Module):
    """A mixture of experts, each row going through those that its gate chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Linear(6, 4) for _ in range(3))
        self.mixed = nn.Identity()
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.gate(x).softmax(-1)
        each = torch.stack([expert(x) for expert in self.experts], 1)
        return self.head(self.mixed((weights.unsqueeze(-1) * each).sum(1)))


def quantised() -> nn.Module:
    from torch.ao.quantization import DeQuantStub, QuantStub, get_default_qconfig

    net = nn.Sequential(
        QuantStub(),
        nn.Conv2d(3, 6, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 196, 5),
        DeQuantStub(),
    ).eval()
    net.qconfig = get_default_qconfig("x86")
    prepared = torch.ao.quantization.prepare(net)
    prepared(torch.rand(8, *IMAGE))
    return torch.ao.quantization.convert(prepared)


CHANNELS, MAP, ROW = "NC", "NCHW", "NC"

OWN: dict[str, Architecture] = {
    "resnet": Architecture(resnet, IMAGE, {r"[45]|output": "NC", ".*": "NCHW"}),
    "dense": Architecture(Dense, IMAGE, {"head|output": "NC", ".*": "NCHW"}),
    "convnext": Architecture(
        ConvNeXt,
        IMAGE,
        {
            r".*\.(norm|expand|act|drop|reduce)": "NHWC",
            "head|output": "NC",
            ".*": "NCHW",
        },
    ),
    "windows": Architecture(
        Windows,
        IMAGE,
        {
            "embed": "NCHW",
            r"windows|attend": "NkTC",
            r"attend\.heads\..*": "heads",
            "norm|merged|reduce": "NHWC",
            "head|output": "NC",
        },
    ),
    "ecg_lstm": Architecture(
        EcgLstm, (4, 64), {"conv.*": "NCT", r"lstm|drop": "NTC", r"lstm\..*": "_NC", ".*": "NC"}
    ),
    "sequence_first": Architecture(
        SequenceFirst,
        (4, 64),
        {
            "conv": "NCT",
            "fc|output": "NC",
            r".*heads\..*": "heads",
            r"gru\.1": "_NC",
            ".*": "TNC",
        },
    ),
    "openai_vit": Architecture(
        OpenAiViT,
        (3, 8, 16),
        {
            "embed": "NCHW",
            "pre": "N+TC",
            r".*heads\..*": "heads",
            r"attend|norm|mlp.*": "+TNC",
            ".*": "NC",
        },
    ),
    "mixer": Architecture(
        Mixer,
        IMAGE,
        {
            "embed": "NCHW",
            "norm.|after|channels.*": "NTC",
            "tokens.*": "NTC",  # the hidden units of the token mixing stand last, tokens before
            ".*": "NC",
        },
    ),
    "unet": Architecture(UNet, IMAGE, {".*": "NCHW"}),
    "autoencoder": Architecture(
        Autoencoder, IMAGE, {r"encode\.[23]|encode|expand": "NC", ".*": "NCHW"}
    ),
    "clips": Architecture(
        Clips,
        (4, 3, 16, 16),
        {"conv.*|pool": "NkCHW", "frame": "NkC", "gru": "NTC", r"gru\.1": "_NC", ".*": "NC"},
    ),
    "crops": Architecture(Crops, IMAGE, {"conv|act": "kNCHW", "head": "kNC", "output": "NC"}),
    "conv3d": Architecture(
        lambda: nn.Sequential(
            nn.Conv3d(2, 6, 3), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten()
        ),
        (2, 8, 8, 8),
        {"4|output": "NC", ".*": "NCDHW"},
    ),
    "spectral": Architecture(Spectral, IMAGE, {".*": "NCHW"}),
    "graph": Architecture(Graph, (7, 4), {"first|mixed|act|second": "NTC", "output": "NC"}),
    "einsum": Architecture(
        EinsumAttention,
        (6, 4),
        {"head|output": "NC", ".*": "NTC"},
        absent=("attention.1",),
    ),
    "standardised": Architecture(standardised, IMAGE, {"7|output": "NC", ".*": "NCHW"}),
    "cells": Architecture(Cells, (4, 9), {"states": "TNC", ".*": "NC"}),
    "one_number": Architecture(Age, IMAGE, {"output": "N", ".*": "NC"}),
    "dict": Architecture(
        lambda: Outputs("dict"),
        IMAGE,
        {"conv": "NCHW", "output": "NC", r"output\.aux/edge\.map": "NHWC"},
        keys={"output.aux/edge.map": lambda out: out["aux/edge"]["map"]},
    ),
    "record": Architecture(
        lambda: Outputs("record"),
        IMAGE,
        {"conv": "NCHW", "output": "NC", r"output\.maps\.last:one": "NCHW"},
        keys={"output.maps.last:one": lambda out: out.maps["last:one"]},
    ),
    "pair": Architecture(
        lambda: Outputs("pair"),
        IMAGE,
        {"conv": "NCHW", "output": "NC", r"output\.features\.0": "NCHW", r".*\.1": "_NC"},
        keys={
            "output.features.0": lambda out: out.features[0],
            "output.features.1": lambda out: out.features[1],
        },
    ),
    "odd_names": Architecture(OddNames, IMAGE, {"initial.*|act.*": "NCHW", ".*": "NC"}),
    "pointnet": Architecture(PointNet, (3, 20), {".*": "NCT"}),
    "causal": Architecture(Causal, (9, 4), {"embed|shifted": "NTC", "conv": "NCT", "output": "NC"}),
    "experts": Architecture(Experts, (6,), {".*": "NC"}),
    "half": Architecture(
        lambda: resnet().to(torch.bfloat16), IMAGE, {r"[45]|output": "NC", ".*": "NCHW"}
    ),
    "double": Architecture(
        lambda: resnet().to(torch.float64), IMAGE, {r"[45]|output": "NC", ".*": "NCHW"}
    ),
    "quantised": Architecture(quantised, IMAGE, {"[345]|output": "NC", ".*": "NCHW"}),
    "dynamic": Architecture(
        lambda: torch.ao.quantization.quantize_dynamic(EcgLstm().eval(), {nn.Linear, nn.LSTM}),
        (4, 64),
        {"conv.*": "NCT", r"lstm|drop": "NTC", r"lstm\..*": "_NC", ".*": "NC"},
    ),
}
