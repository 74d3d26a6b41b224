import pytest
import torch

from blackbox_am.errors import OutOfMemory
from blackbox_am.generators._slices import ALLOCATION_FAILED, Slices


class Small:
    """Doubles rows, at most `room` at once."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room = room
        self.error = error
        self.asked: list[int] = []

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(rows))
        if len(rows) > self.room:
            raise self.error
        return 2 * rows


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError(f"DefaultCPUAllocator: {ALLOCATION_FAILED}: you tried to allocate"),
    ],
)
def test_what_does_not_fit_is_halved_and_the_size_remembered(error: Exception) -> None:
    slices, decode = Slices(), Small(3, error)
    rows = torch.arange(11.0)
    assert torch.equal(slices.render(decode, rows), 2 * rows)
    assert decode.asked == [11, 5, 2, 2, 2, 2, 2, 1]
    decode.asked.clear()
    assert torch.equal(slices.render(decode, rows[:4]), 2 * rows[:4])
    assert decode.asked == [2, 2]


def test_all_rows_go_at_once_unless_told_otherwise() -> None:
    decode = Small(100, MemoryError())
    Slices().render(decode, torch.zeros(7, 2))
    Slices(3).render(decode, torch.zeros(7, 2))
    assert Slices().render(decode, torch.zeros(0, 2)).shape == (0, 2)
    assert decode.asked == [7, 3, 3, 1, 0]


def test_one_row_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(OutOfMemory, match="one stimulus"):
        Slices().render(Small(0, MemoryError("no room")), torch.zeros(4))


def test_other_errors_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError, match="sizes differ"):
        Slices().render(Small(0, RuntimeError("sizes differ")), torch.zeros(4))
