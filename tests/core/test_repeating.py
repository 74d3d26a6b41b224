"""Whether a model repeats its answers, from a few rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from blackbox_am.core.repeating import Repeats, repeats
from blackbox_am.errors import OracleFailed

STIMULI = torch.tensor([[1.0], [2.0], [3.0]])


def centred(rows: torch.Tensor) -> torch.Tensor:
    if len(rows) == 1:
        raise OracleFailed("expected more than 1 value per channel")
    return rows - rows.mean(0)


def sparse() -> Callable[[torch.Tensor], torch.Tensor]:
    """Mostly 0, as dropout answers: equal twice in a row, and then not."""
    masks = iter([1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    return lambda rows: rows * next(masks)


CASES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Repeats]] = {
    "always": (lambda rows: rows * 2, Repeats.ALWAYS),
    "alone": (lambda rows: rows.softmax(0), Repeats.ALONE),
    "refuses one row": (centred, Repeats.NEVER),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_are_compared(name: str) -> None:
    observe, expected = CASES[name]
    assert repeats(observe, STIMULI) is expected


def test_dropout_that_answers_alike_twice_is_noticed() -> None:
    assert repeats(sparse(), STIMULI) is Repeats.NEVER
