"""The two classifier architectures of the zoo, in plain PyTorch.

Both nets take *normalised* images. The caller subtracts the mean and divides by the standard
deviation of the catalogue entry. The names of the units therefore do not depend on the pixel
range that the caller uses.

Sources:
    * Residual nets for 32x32 images: He, Zhang, Ren, Sun, "Deep Residual Learning for Image
      Recognition", CVPR 2016, section 4.2.
    * Vision transformer: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; the module
      names are the customary ones (``patch_embed``, ``blocks.3.mlp``).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Shortcut = Literal["conv", "pad"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut.

    Args:
        in_channels: Channels of the input, ``(B, in_channels, H, W)``.
        channels: Channels of the output, ``(B, channels, H / stride, W / stride)``.
        stride: 1, or 2 to halve the picture.
        shortcut: Kind of a shortcut that changes the shape: ``"conv"`` is a 1x1 convolution,
            ``"pad"`` is the parameter-free subsampling with zero channels (option A of the paper).
    """

    def __init__(self, in_channels: int, channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = nn.ReLU()
        self.stride = stride
        self.extra = channels - in_channels
        self.shortcut: nn.Module | None = None
        if shortcut == "conv" and (stride != 1 or self.extra):
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, channels, H / stride, W / stride)``, >= 0."""
        if self.shortcut is not None:
            skip = self.shortcut(x)
        elif self.stride != 1 or self.extra:
            left = self.extra // 2
            skip = functional.pad(
                x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, left, self.extra - left)
            )
        else:
            skip = x
        out = self.act1(self.bn1(self.conv1(x)))
        result: Tensor = self.act2(self.bn2(self.conv2(out)) + skip)
        return result


class CifarResNet(nn.Module):
    """Residual classifier for 32x32 RGB images.

    Units are addressed by module name: ``stem``, ``layer1.0.conv1``, ``layer3`` (the block
    output after its ReLU), ``pool``, ``head``.

    Args:
        widths: Channels of the three stages, at 32x32, 16x16 and 8x8.
        blocks: Residual blocks in each stage.
        classes: Number of output logits.
        shortcut: See :class:`BasicBlock`.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (32, 64, 128),
        blocks: tuple[int, int, int] = (1, 2, 2),
        classes: int = 10,
        shortcut: Shortcut = "conv",
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(widths[0])
        self.stem_act = nn.ReLU()
        self.layer1 = self._stage(widths[0], widths[0], blocks[0], 1, shortcut)
        self.layer2 = self._stage(widths[0], widths[1], blocks[1], 2, shortcut)
        self.layer3 = self._stage(widths[1], widths[2], blocks[2], 2, shortcut)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(widths[2], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(
        in_channels: int, channels: int, count: int, stride: int, shortcut: Shortcut
    ) -> nn.Sequential:
        first = BasicBlock(in_channels, channels, stride, shortcut)
        rest = [BasicBlock(channels, channels, 1, shortcut) for _ in range(count - 1)]
        return nn.Sequential(first, *rest)

    def features(self, x: Tensor) -> list[Tensor]:
        """Outputs of the stem and of the three stages for normalised ``(B, 3, 32, 32)`` images.

        Returns:
            Four tensors of shapes ``(B, w0, 32, 32)``, ``(B, w0, 32, 32)``, ``(B, w1, 16, 16)``
            and ``(B, w2, 8, 8)``, all >= 0.
        """
        stem = self.stem_act(self.stem_bn(self.stem(x)))
        one = self.layer1(stem)
        two = self.layer2(one)
        return [stem, one, two, self.layer3(two)]

    def classify(self, top: Tensor) -> Tensor:
        """Logits ``(B, classes)`` from the last entry of :meth:`features`."""
        logits: Tensor = self.head(self.pool(top).flatten(1))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` for normalised images ``(B, 3, 32, 32)``."""
        return self.classify(self.features(x)[-1])


class PatchEmbed(nn.Module):
    """Cut ``(B, 3, H, W)`` into patches and project each: ``(B, H * W / patch**2, dim)``."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """One ``dim``-vector for each patch, row by row."""
        tokens: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens


class Attention(nn.Module):
    """Multi-head self-attention, ``(B, T, dim)`` to ``(B, T, dim)``."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply self-attention over all tokens."""
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, dim))
        return out


class Mlp(nn.Module):
    """Token-wise two-layer perceptron, ``(B, T, dim)`` to ``(B, T, dim)``."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply a linear layer, GELU, and a linear layer."""
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class TransformerBlock(nn.Module):
    """Pre-norm transformer block, ``(B, T, dim)`` to ``(B, T, dim)``."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the attention and then the perceptron, each with a residual connection."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class CifarViT(nn.Module):
    """Vision transformer for 32x32 RGB images: 64 patch tokens and one class token.

    Units are addressed by module name: ``patch_embed``, ``blocks.3.mlp.fc1``, ``blocks.3.norm1``,
    ``norm``, ``head``. Token 0 is the class token.

    Args:
        dim: Width of a token.
        depth: Number of blocks.
        heads: Attention heads; divides ``dim``.
        hidden: Width of the perceptron inside a block.
        patch: Side of a patch in pixels.
        classes: Number of output logits.
    """

    def __init__(
        self,
        dim: int = 96,
        depth: int = 4,
        heads: int = 3,
        hidden: int = 192,
        patch: int = 4,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(patch, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (32 // patch) ** 2 + 1, dim))
        self.blocks = nn.Sequential(*[TransformerBlock(dim, heads, hidden) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def features(self, x: Tensor) -> Tensor:
        """Tokens ``(B, 1 + patches, dim)`` after the last norm, for normalised images."""
        tokens = self.patch_embed(x)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        out: Tensor = self.norm(self.blocks(tokens + self.pos_embed))
        return out

    def classify(self, tokens: Tensor) -> Tensor:
        """Logits ``(B, classes)`` from the output of :meth:`features`."""
        logits: Tensor = self.head(tokens[:, 0])
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` for normalised images ``(B, 3, 32, 32)``."""
        return self.classify(self.features(x))
