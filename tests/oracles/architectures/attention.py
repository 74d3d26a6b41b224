"""Attention with queries, keys and values of its own, split into heads in many ways."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from tests.oracles.architectures.table import Architecture

DIM, HEADS = 12, 3
WIDTH = DIM // HEADS


class Bert(nn.Module):
    """Three projections, `view` and `transpose`, a softmax that is a module, a dropout."""

    def __init__(self, context: int = DIM, *, norm: bool = False) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(DIM, DIM), nn.Linear(context, DIM)
        self.value = nn.Linear(context, DIM)
        self.q_norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.k_norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.softmax, self.dropout = nn.Softmax(-1), nn.Dropout(0.1)
        self.split, self.merged = nn.Identity(), nn.Identity()
        self.dense = nn.Linear(DIM, DIM)

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, _ = x.shape
        return x.view(n, tokens, HEADS, WIDTH).transpose(1, 2)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        context = x if context is None else context
        q = self.q_norm(self.heads(self.query(x)))
        k = self.k_norm(self.heads(self.key(context)))
        v = self.split(self.heads(self.value(context)))
        scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH)
        mixed = self.merged(self.dropout(self.softmax(scores)) @ v)
        return self.dense(mixed.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """Tokens of a linear embedding, one attention with a residual, a head."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Linear(5, DIM)
        self.attention = attention
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        return self.head(self.norm(x + self.attention(x)).mean(1))


class Vit(nn.Module):
    """One projection for queries, keys and values, norms of queries and keys, a class token."""

    class Attention(nn.Module):
        def __init__(self, *, fused: bool) -> None:
            super().__init__()
            self.fused = fused
            self.qkv = nn.Linear(DIM, 3 * DIM)
            self.q_norm, self.k_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.values, self.weights = nn.Identity(), nn.Dropout(0.1)
            self.mixed, self.proj = nn.Identity(), nn.Linear(DIM, DIM)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, tokens, _ = x.shape
            qkv = self.qkv(x).reshape(n, tokens, 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.unbind(0)
            q, k, v = self.q_norm(q), self.k_norm(k), self.values(v)
            if self.fused:
                x = functional.scaled_dot_product_attention(q, k, v)
            else:
                x = self.weights((q * WIDTH**-0.5 @ k.transpose(-2, -1)).softmax(-1)) @ v
            return self.proj(self.mixed(x).transpose(1, 2).reshape(n, tokens, DIM))

    def __init__(self, *, fused: bool = False) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, DIM, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, DIM))
        self.norm = nn.LayerNorm(DIM)
        self.attention = self.Attention(fused=fused)
        self.head = nn.Linear(DIM, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.norm(torch.cat([self.cls.expand(len(x), -1, -1), x], 1))
        return self.head((x + self.attention(x))[:, 0])


class Cross(nn.Module):
    """Learned queries read the tokens of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)
        self.queries = nn.Parameter(torch.randn(1, 6, DIM))
        self.mix = nn.Linear(DIM, DIM)
        self.attention = Bert(8, norm=True)
        self.head = nn.Linear(DIM, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        context = self.conv(x).flatten(2).transpose(1, 2)
        start = self.mix(self.queries + context.mean((1, 2))[:, None, None])
        return self.head(self.attention(start, context).mean(1))


class Rotary(nn.Module):
    """Fewer heads of keys and values than of queries, rotated by place; heads come after tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(DIM, 4 * 6)
        self.k_proj, self.v_proj = nn.Linear(DIM, 2 * 6), nn.Linear(DIM, 2 * 6)
        self.q_norm, self.k_norm = nn.RMSNorm(6), nn.RMSNorm(6)
        self.rotated, self.values = nn.Identity(), nn.Identity()
        self.dropout, self.mixed = nn.Dropout(0.1), nn.Identity()
        self.o_proj = nn.Linear(4 * 6, DIM)

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        place = torch.arange(x.shape[2])[:, None] * torch.tensor([1.0, 0.1, 0.01]).repeat(2)
        one, two = x.chunk(2, -1)
        return x * place.cos() + torch.cat([-two, one], -1) * place.sin()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(n, tokens, 4, 6)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(n, tokens, 2, 6)).transpose(1, 2)
        v = self.values(self.v_proj(x).view(n, tokens, 2, 6).transpose(1, 2))
        q, k = self.rotated(self.rotate(q)), self.rotate(k)
        k, v = (one.repeat_interleave(2, dim=1) for one in (k, v))
        scores = self.dropout((q @ k.transpose(2, 3) / math.sqrt(6)).softmax(-1))
        return self.o_proj(self.mixed(scores @ v).transpose(1, 2).flatten(2))


class Windows(nn.Module):
    """Attention inside of windows that are folded into the stimuli, with a bias for each head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, DIM, 4, 4)
        self.attention = Bert(norm=True)
        self.head = nn.Linear(DIM, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)
        n, side = len(x), x.shape[1] // 2
        x = x.unflatten(1, (side, 2)).unflatten(3, (side, 2)).transpose(2, 3)
        x = self.attention(x.reshape(n * side**2, 4, DIM))
        return self.head(x.unflatten(0, (n, side**2)).mean((1, 2)))


class Grouped(nn.Module):
    """Groups of channels that are shuffled, as in ShuffleNet."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 2)
        self.groups, self.shuffled = nn.Identity(), nn.Identity()
        self.second = nn.Conv2d(6, 6, 3, groups=3)
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.groups(self.first(x).unflatten(1, (3, 2)))
        x = self.shuffled(x.transpose(1, 2).flatten(1, 2))
        return self.head(self.second(x).mean((2, 3)))


class PerHead(nn.Module):
    """Layers that all heads share, weights of each head, and a layer that mixes heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM)
        self.shared, self.act = nn.Linear(WIDTH, 6), nn.GELU()
        self.weights = nn.Parameter(torch.randn(HEADS, 6, 2))
        self.each, self.mixed = nn.Identity(), nn.Identity()
        self.talk = nn.Linear(HEADS, HEADS, bias=False)
        self.softmax = nn.Softmax(-1)
        self.out = nn.Linear(2 * HEADS, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.query(x).unflatten(2, (HEADS, WIDTH)).transpose(1, 2)
        v = self.each(torch.einsum("nhtd,hde->nhte", self.act(self.shared(q)), self.weights))
        scores = self.talk((q @ q.transpose(2, 3)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.out(self.mixed(self.softmax(scores) @ v).transpose(1, 2).flatten(2))


SPLIT = {
    r"attention\.(softmax|dropout|weights)": "NCTT",
    r"attention\.(q_norm|k_norm|split|values|merged|mixed|rotated)": "NGTC",
}
VIT = {
    "patches": "NCHW",
    r".*heads\.\d+": "heads",
    r"attention\.(q_norm|k_norm|values|mixed)": "NG+TC",
    **SPLIT,
    "head|output": "NC",
    ".*": "N+TC",
}
TOKENS = {r".*heads\.\d+": "heads", "head|output": "NC", ".*": "NTC"}

ATTENTION: dict[str, Architecture] = {
    "bert": Architecture(lambda: Encoder(Bert()), (7, 5), {**SPLIT, **TOKENS}),
    "normed_heads": Architecture(lambda: Encoder(Bert(norm=True)), (7, 5), {**SPLIT, **TOKENS}),
    "vit": Architecture(Vit, (3, 16, 16), VIT),
    "fused_vit": Architecture(lambda: Vit(fused=True), (3, 16, 16), VIT),
    "cross": Architecture(Cross, (3, 16, 16), {"conv": "NCHW", **SPLIT, **TOKENS}),
    "rotary": Architecture(
        lambda: Encoder(Rotary()),
        (7, 5),
        {r"attention\.[qk]_norm": "NTGC", r"attention\.mixed": "NGTC", **SPLIT, **TOKENS},
    ),
    "head_windows": Architecture(
        Windows,
        (3, 16, 16),
        {
            "conv": "NCHW",
            r"attention\.(softmax|dropout)": "NkCTT",
            r"attention\.(q_norm|k_norm|split|merged)": "NkGTC",
            "head|output": "NC",
            ".*": "NkTC",
        },
    ),
    "per_head": Architecture(
        lambda: Encoder(PerHead()),
        (7, 5),
        {r"attention\.(shared|act|each)": "NGTC", r"attention\.talk": "NTTC", **SPLIT, **TOKENS},
    ),
    "grouped": Architecture(
        Grouped, (3, 16, 16), {"groups": "NGCHW", "head|output": "NC", ".*": "NCHW"}
    ),
}
