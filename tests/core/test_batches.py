import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.batches import fixed_batch_size, in_fixed_batches


@given(st.integers(1, 40), st.integers(1, 12))
def test_every_row_once_in_batches_of_one_size(rows: int, batch_size: int) -> None:
    sizes = []

    def double(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch * 2

    x = torch.arange(rows * 3, dtype=torch.float32).reshape(rows, 3)
    assert torch.equal(in_fixed_batches(double, x, batch_size), x * 2)
    assert sizes == [batch_size] * -(-rows // batch_size)


def test_padding_is_the_last_row() -> None:
    seen = []
    in_fixed_batches(lambda batch: seen.append(batch) or batch, torch.tensor([1, 2, 3]), 5)
    assert seen[0].tolist() == [1, 2, 3, 3, 3]


def test_other_tensors_of_the_same_rows_go_along() -> None:
    x, places = torch.rand(7, 2), torch.arange(7)
    made = in_fixed_batches(lambda rows, mine: rows[:, 0] + mine, x, 3, places)
    assert torch.equal(made, x[:, 0] + places)


def test_a_function_sees_aligned_memory_whatever_the_length_of_a_row():
    """Kernels may round otherwise where a batch begins at another address."""
    addresses = []
    whole = torch.rand(23, 7)
    in_fixed_batches(lambda rows: addresses.append(rows.data_ptr() % 64) or rows, whole[1:], 3)
    assert set(addresses) == {0}


def test_padding_adds_nothing_to_gradients() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    in_fixed_batches(torch.square, x, 8).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("rows", "preferred", "size"),
    [(1, 64, 1), (8, 64, 8), (64, 64, 64), (80, 64, 40), (65, 64, 33), (1000, 64, 63), (3, 1, 1)],
)
def test_the_batch_size_leaves_the_least_padding(rows: int, preferred: int, size: int) -> None:
    assert fixed_batch_size(rows, preferred) == size
