"""Memory of large tensors is used again, and never while a tensor is left on it."""

from __future__ import annotations

import threading

import pytest
import torch

from blackbox_am.core import blocks

ROWS = blocks.LARGE // 4096 + 1


@pytest.fixture(autouse=True)
def no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_blocks", [])


def test_a_block_is_used_again_when_no_view_is_left() -> None:
    tensor = blocks.empty(ROWS, 1024)
    assert tensor.shape == (ROWS, 1024)
    assert tensor.is_contiguous()
    place = tensor.data_ptr()
    assert place % blocks.ALIGNMENT == 0
    view = tensor[3:, 5]
    del tensor
    other = blocks.empty(ROWS, 1024)
    assert other.data_ptr() != place
    del view
    assert blocks.empty(ROWS // 2, 1024, dtype=torch.float64).data_ptr() == place


def test_small_tensors_and_other_devices_are_torchs() -> None:
    assert blocks.empty(3, 2, dtype=torch.float64).dtype == torch.float64
    assert blocks.empty(ROWS, 1024, device="meta").device.type == "meta"
    assert not blocks._blocks


def test_unused_blocks_that_do_not_fit_are_dropped() -> None:
    first, second = blocks.empty(ROWS, 1024), blocks.empty(ROWS, 1024)
    del first, second
    third = blocks.empty(8 * ROWS, 1024)
    assert len(blocks._blocks) == 1
    assert third.nbytes == 8 * ROWS * 4096


def test_threads_never_share_a_block() -> None:
    wrong = []

    def work(number: int) -> None:
        for _ in range(20):
            tensor = blocks.empty(ROWS, 1024)
            tensor.fill_(number)
            if not bool((tensor == number).all()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
