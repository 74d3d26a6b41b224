"""The benchmark of a CUDA device against the CPU."""

import math

import pytest
import torch

from blackbox_am.bench import devices
from blackbox_am.errors import Unsupported


@pytest.mark.parametrize("name", devices.OPTIMIZERS)
def test_generations_are_timed(name: str) -> None:
    assert 0 < devices.generations_seconds(name, 6, 2, 3, "cpu") < math.inf


@pytest.mark.slow
def test_a_study_is_timed() -> None:
    assert 0 < devices.study_seconds(2, 64, "cpu") < math.inf


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_cuda_it_says_what_it_needs() -> None:
    with pytest.raises(Unsupported, match="CUDA device"):
        devices.measure(devices.Size(), print)
