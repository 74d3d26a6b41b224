"""A model of tokens, or of one-hot rows, that gets the other says which stimuli it takes."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from blackbox_am.core.units import Unit
from blackbox_am.errors import OracleFailed
from blackbox_am.oracles.torch.torch_module import TorchModule


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(tokens).mean(1))


class OneHot(nn.Module):
    """Takes tokens and makes one-hot rows itself."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(9, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(functional.one_hot(tokens, 9).float().mean(1))


class Bases(nn.Module):
    """Takes one-hot rows of bases, channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5)
        self.head = nn.Linear(8, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(rows).mean(2))


class Rows(nn.Module):
    """Takes one-hot rows, channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(9, 8, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.embed(rows).mean(1)


class FromRows(nn.Module):
    """What the sentence for tokens teaches."""

    def __init__(self, model: Tokens) -> None:
        super().__init__()
        self.model = model

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.model.head((rows @ self.model.embedding.weight).mean(1))


TOKENS = "takes integers below 9, such as tokens.*one-hot rows, stimulus_shape (12, 9)"


@pytest.mark.parametrize(
    ("model", "shape", "said"),
    [
        (Tokens, (12,), f"its layer 'embedding' {TOKENS}"),
        (Tokens, (9, 12), f"its layer 'embedding' {TOKENS}"),
        (OneHot, (12,), "it takes integers, such as tokens.*stimulus_shape (12, tokens)"),
        (Bases, (12,), "layer 'conv' reads 4 channels.*12 positions, not integers.*(4, 12)"),
        (Bases, (12, 4), "reads 4 channels on axis 0 of a stimulus: exchange the axes, (4, 12)"),
        (Rows, (12,), "layer 'embed' reads 9 features.*12 positions, not integers.*(12, 9)"),
        (Rows, (9, 12), "reads 9 features on axis -1 of a stimulus: exchange the axes, (12, 9)"),
    ],
)
def test_the_other_form_is_named(model: type[nn.Module], shape: tuple[int, ...], said: str) -> None:
    oracle = TorchModule(model().eval(), shape, device="cpu")
    with pytest.raises(OracleFailed, match=".*".join(map(re.escape, said.split(".*")))):
        oracle.describe()


@pytest.mark.parametrize("how", ["scripted", "exported"])
def test_programs_of_tokens_say_so(how: str) -> None:
    model = Tokens().eval()
    tokens = torch.zeros(2, 12, dtype=torch.long)
    program = (
        torch.jit.script(model) if how == "scripted" else torch.export.export(model, (tokens,))
    )
    oracle = TorchModule(program, (12,), device="cpu", rows=2)
    with pytest.raises(OracleFailed, match=r"takes integers, such as tokens.*one-hot rows"):
        oracle.describe()


def test_a_model_of_transformers_names_its_embedding() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=9,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    oracle = TorchModule(transformers.BertModel(config).eval(), (12, 9), device="cpu")
    said = r"layer 'embeddings.word_embeddings' takes integers below 9.*\(12, 9\)"
    with pytest.raises(OracleFailed, match=said):
        oracle.describe()


def test_what_the_sentence_teaches_works() -> None:
    model = Tokens().eval()
    tokens = torch.randint(9, (5, 12), generator=torch.Generator().manual_seed(0))
    oracle = TorchModule(FromRows(model).eval(), (12, 9), device="cpu")
    units = [Unit("output", index) for index in range(3)]
    found = oracle.observe(functional.one_hot(tokens, 9).float(), units)
    torch.testing.assert_close(found, model(tokens).detach())


def test_another_failure_gets_no_such_sentence() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(5, 2)).eval()
    with pytest.raises(OracleFailed, match="mat1 and mat2") as caught:
        TorchModule(model, (6,), device="cpu").describe()
    assert "one-hot" not in str(caught.value)
