"""Networks of series, clips, graphs and points."""

from __future__ import annotations

import torch
from torch import nn

from tests.oracles.architectures.table import Architecture


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


class Selective(nn.Module):
    """A gated block as in Mamba: a projection that is cut in two, a causal convolution of each."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 6)
        self.project = nn.Linear(6, 16)
        self.values, self.gates = nn.Identity(), nn.Identity()
        self.conv = nn.Conv1d(8, 8, 3, padding=2, groups=8)
        self.cut, self.act, self.gated = nn.Identity(), nn.SiLU(), nn.Identity()
        self.out = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, gates = self.project(self.embed(x)).chunk(2, -1)
        values, gates = self.values(values), self.gates(gates)
        found = self.conv(values.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return self.out(self.gated(self.act(self.cut(found)) * gates)).mean(1)


class PooledTokens(nn.Module):
    """The mean of many tokens, taken by a layer for series."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(4, 16), nn.LayerNorm(16)
        self.turned, self.pool = nn.Identity(), nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.turned(self.norm(self.embed(x)).mT)).flatten(1))


class Spectrogram(nn.Module):
    """A series that becomes a picture of frequencies and times before the first weights."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = nn.Identity()
        self.conv = nn.Conv2d(1, 6, 3, 2)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        window = torch.hann_window(16)
        found = torch.stft(x[:, 0], 16, 8, window=window, return_complex=True).abs()
        return self.head(self.conv(self.spectrogram(found[:, None])).mean((2, 3)))


SEQUENCES: dict[str, Architecture] = {
    "selective": Architecture(Selective, (9, 4), {"conv": "NCT", "output": "NC", ".*": "NTC"}),
    "pooled_tokens": Architecture(
        PooledTokens, (17, 4), {"turned|pool": "NCT", "head|output": "NC", ".*": "NTC"}
    ),
    "spectrogram": Architecture(Spectrogram, (1, 64), {"head|output": "NC", ".*": "NCHW"}),
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
    "clips": Architecture(
        Clips,
        (4, 3, 16, 16),
        {"conv.*|pool": "NkCHW", "frame": "NkC", "gru": "NTC", r"gru\.1": "_NC", ".*": "NC"},
    ),
    "graph": Architecture(Graph, (7, 4), {"first|mixed|act|second": "NTC", "output": "NC"}),
    "einsum": Architecture(
        EinsumAttention, (6, 4), {"head|output": "NC", r"attention\.1": "NCTT", ".*": "NTC"}
    ),
    "cells": Architecture(Cells, (4, 9), {"states": "TNC", ".*": "NC"}),
    "pointnet": Architecture(PointNet, (3, 20), {".*": "NCT"}),
    "causal": Architecture(Causal, (9, 4), {"embed|shifted": "NTC", "conv": "NCT", "output": "NC"}),
    "dynamic": Architecture(
        lambda: torch.ao.quantization.quantize_dynamic(EcgLstm().eval(), {nn.Linear, nn.LSTM}),
        (4, 64),
        {"conv.*": "NCT", r"lstm|drop": "NTC", r"lstm\..*": "_NC", ".*": "NC"},
    ),
}
