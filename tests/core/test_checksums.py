from __future__ import annotations

import pytest
import torch

from blackbox_am.core.checksums import checksum


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_every_bit_counts(dtype: torch.dtype) -> None:
    tensor = torch.randint(0, 9, (3, 4, 5)).to(dtype)
    before = checksum(tensor)
    assert len(before) == 16
    assert checksum(tensor.clone()) == before
    seen = {before}
    for place in range(tensor.numel()):
        changed = tensor.clone()
        changed.view(-1)[place] += 1
        seen.add(checksum(changed))
    assert len(seen) == tensor.numel() + 1


def test_order_and_shape_count() -> None:
    tensor = torch.arange(6.0)
    assert checksum(tensor.flip(0)) != checksum(tensor)
    assert checksum(tensor.reshape(2, 3)) != checksum(tensor.reshape(3, 2))
    assert checksum(torch.zeros(2)) != checksum(torch.zeros(3))
    assert checksum(torch.tensor([0.0])) != checksum(torch.tensor([-0.0]))


def test_memory_layout_does_not_count() -> None:
    tensor = torch.rand(4, 6)
    assert checksum(tensor.t()) == checksum(tensor.t().contiguous())


def test_more_than_one_chunk() -> None:
    tensor = torch.rand(2**21 + 7)
    before = checksum(tensor)
    tensor[-1] += 1
    assert checksum(tensor) != before


@pytest.mark.cuda
def test_every_device_computes_the_same() -> None:
    tensor = torch.rand(3, 1000)
    assert checksum(tensor.cuda()) == checksum(tensor)
