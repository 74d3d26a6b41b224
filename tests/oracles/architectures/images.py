"""Networks of images: channels first and last, windows, tokens, Fourier layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tests.oracles.architectures.table import IMAGE, Architecture


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


class Fourier(nn.Module):
    """A Fourier neural operator: weights of a few frequencies, written into a tensor of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv2d(3, 6, 1)
        self.weights = nn.ParameterList([torch.randn(6, 5, 4, 4, dtype=torch.cfloat)])
        self.spectral, self.act = nn.Identity(), nn.GELU()
        self.out = nn.Conv2d(5, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = torch.fft.rfft2(self.lift(x))[:, :, :4, :4]
        found = torch.zeros(len(x), 5, 16, 9, dtype=torch.cfloat)
        found[:, :, :4, :4] = torch.einsum("nihw,iohw->nohw", low, self.weights[0])
        return self.out(self.act(self.spectral(torch.fft.irfft2(found, s=(16, 16)))))


class Rearranged(nn.Module):
    """Gates, maxima and signs of channels; channels that become pixels and the reverse."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gates = nn.Conv2d(3, 8, 3, 2, 1), nn.GLU(1)
        self.second, self.largest, self.signs = nn.Conv2d(4, 12, 1), nn.Identity(), nn.Identity()
        self.third, self.up, self.down = (
            nn.Conv2d(8, 16, 1),
            nn.PixelShuffle(2),
            nn.PixelUnshuffle(4),
        )
        self.squeeze, self.excited = nn.Linear(64, 64), nn.Identity()
        self.patches, self.head = nn.Unfold(2, stride=2), nn.Linear(256, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.largest(self.second(self.gates(self.first(x))).unflatten(1, (4, 3)).amax(2))
        x = self.down(self.up(self.third(self.signs(torch.cat([x, -x], 1).relu()))))
        x = self.excited(x * self.squeeze(x.mean((2, 3))).sigmoid()[:, :, None, None])
        return self.head(self.patches(x).mean(2))


IMAGES: dict[str, Architecture] = {
    "fourier": Architecture(Fourier, (3, 16, 16), {".*": "NCHW"}),
    "rearranged": Architecture(
        Rearranged,
        (3, 16, 16),
        {"squeeze|head|output": "NC", "patches": "NCT", ".*": "NCHW"},
    ),
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
    "spectral": Architecture(Spectral, IMAGE, {".*": "NCHW"}),
    "standardised": Architecture(standardised, IMAGE, {"7|output": "NC", ".*": "NCHW"}),
    "crops": Architecture(Crops, IMAGE, {"conv|act": "kNCHW", "head": "kNC", "output": "NC"}),
    "conv3d": Architecture(
        lambda: nn.Sequential(
            nn.Conv3d(2, 6, 3), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten()
        ),
        (2, 8, 8, 8),
        {"4|output": "NC", ".*": "NCDHW"},
    ),
    "half": Architecture(
        lambda: resnet().to(torch.bfloat16), IMAGE, {r"[45]|output": "NC", ".*": "NCHW"}
    ),
    "double": Architecture(
        lambda: resnet().to(torch.float64), IMAGE, {r"[45]|output": "NC", ".*": "NCHW"}
    ),
    "quantised": Architecture(quantised, IMAGE, {"[345]|output": "NC", ".*": "NCHW"}),
}
