"""Backward passes: halved where they do not fit into memory, and in other precisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import OutOfMemory
from blackbox_am.evaluation import LocalEvaluator, Rows
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.torch.torch_module import TorchModule

SHAPE = (3, 8, 8)
OBJECTIVES = tuple(Mean((f"3:{k}",)) for k in range(3))


def net(dtype: str = "auto") -> TorchModule:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.GELU(), nn.Flatten(), nn.Linear(288, 6))
    return TorchModule(nn.Sequential(*layers), SHAPE, device="cpu", dtype=dtype)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Small(Oracle):
    """A network on a device whose memory holds the backward pass of `room` rows.

    Attributes:
        room: the largest batch with gradients.
        tried: the sizes of all batches with gradients.
    """

    kind: ClassVar[str] = "small"

    room: int = 3
    inner: Oracle = dataclasses.field(default_factory=net)
    tried: list[int] = dataclasses.field(default_factory=list)

    def describe(self) -> OracleInfo:
        return self.inner.describe()

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        if stimuli.requires_grad:
            self.tried.append(len(stimuli))
            if len(stimuli) > self.room:
                raise torch.cuda.OutOfMemoryError("full")
        return self.inner.observe(stimuli, units)


def rows(count: int) -> Rows:
    generator = torch.Generator().manual_seed(1)
    return Rows.of(torch.rand(3, count, 192, generator=generator), [0, 1, 2])


def test_a_backward_pass_that_does_not_fit_is_halved_and_goes_on() -> None:
    oracle, pixels = Small(), Pixels(SHAPE)
    evaluator = LocalEvaluator(pixels, oracle, OBJECTIVES, 12)
    found = evaluator.submit(rows(5), gradients=True).result()
    assert oracle.tried[:3] == [12, 6, 3]
    assert set(oracle.tried[2:]) == {3}
    expected = LocalEvaluator(pixels, net(), OBJECTIVES, 12).submit(rows(5), gradients=True)
    assert found.gradients is not None
    assert expected.result().gradients is not None
    torch.testing.assert_close(found.gradients, expected.result().gradients)
    np.testing.assert_allclose(found.values, expected.result().values, rtol=1e-5)


def test_later_passes_have_the_size_that_fitted() -> None:
    oracle = Small()
    evaluator = LocalEvaluator(Pixels(SHAPE), oracle, OBJECTIVES, 12)
    evaluator.submit(rows(4), gradients=True).result()
    oracle.tried.clear()
    evaluator.submit(rows(4), gradients=True).result()
    assert oracle.tried == [3, 3, 3, 3]


def test_attempts_that_did_not_fit_are_retries() -> None:
    evaluator = LocalEvaluator(Pixels(SHAPE), Small(), OBJECTIVES, 12)
    usage = evaluator.submit(rows(4), gradients=True).result().usage
    assert (usage.retries, usage.retried_rows) == (2, 18)
    assert usage.rows - usage.retried_rows == usage.backward_rows == 12


def test_one_row_that_does_not_fit_is_an_error() -> None:
    evaluator = LocalEvaluator(Pixels(SHAPE), Small(room=0), OBJECTIVES, 4)
    with pytest.raises(OutOfMemory, match="does not fit into the device's memory"):
        evaluator.submit(rows(2), gradients=True).result()


def test_forward_passes_are_not_halved() -> None:
    oracle = Small(room=0)
    evaluator = LocalEvaluator(Pixels(SHAPE), oracle, OBJECTIVES, 12)
    assert np.isfinite(evaluator.submit(rows(4)).result().values).all()
    assert not oracle.tried


def test_gradients_in_bfloat16() -> None:
    """The same directions as in float32, as far as 8 bits tell."""
    pixels = Pixels(SHAPE)
    coarse, fine = (
        LocalEvaluator(pixels, net(dtype), OBJECTIVES, 12)
        .submit(rows(4), gradients=True)
        .result()
        .gradients
        for dtype in ("bfloat16", "float32")
    )
    assert coarse is not None
    assert fine is not None
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, fine)
    assert torch.cosine_similarity(coarse, fine, dim=-1).min() > 0.99
