import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.batches import (
    ENOUGH_VALUES,
    PADDING_PER_TEST,
    BatchSizes,
    fixed_batch_size,
    in_fixed_batches,
)


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


def test_a_smaller_batch_is_used_after_enough_equal_values() -> None:
    sizes = BatchSizes(60)
    assert sizes.of(60) == 60
    assert sizes.to_test(60) is None
    assert sizes.of(20) == 60
    for _ in range(3):
        assert sizes.of(20) == 60
        assert [sizes.to_test(20) for _ in range(2)] == [None, 20]
        sizes.tested(20, equal=ENOUGH_VALUES // 2 - 1, differs=False)
    assert sizes.of(20) == 20
    assert sizes.to_test(20) is None
    assert sizes.of(90) == 60  # two calls of 45 are another size


def test_a_batch_size_with_other_bits_is_never_used() -> None:
    sizes = BatchSizes(60)
    sizes.tested(20, equal=ENOUGH_VALUES, differs=False)
    sizes.tested(20, equal=ENOUGH_VALUES, differs=True)
    sizes.tested(20, equal=ENOUGH_VALUES, differs=False)
    assert sizes.of(20) == 60
    assert sizes.to_test(20) is None


def test_tests_cost_little_beside_the_padding() -> None:
    sizes = BatchSizes(60)
    tests = sum(sizes.to_test(50) is not None for _ in range(100))
    assert tests == 100 * 10 // (PADDING_PER_TEST * 50)


def test_a_constant_is_no_evidence() -> None:
    sizes = BatchSizes(60)
    for _ in range(ENOUGH_VALUES - 1):
        sizes.tested(20, equal=1, differs=False)
    assert sizes.of(20) == 60
