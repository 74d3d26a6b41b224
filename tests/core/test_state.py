"""States are picked by target, written and read back."""

from dataclasses import dataclass

import pytest
import torch

from blackbox_am.core.state import (
    arrays,
    build,
    from_bytes,
    merge,
    select,
    sessions,
    to_bytes,
)
from blackbox_am.errors import StoreCorrupt

CPU = torch.device("cpu")


@dataclass
class Walk:
    place: torch.Tensor
    steps: torch.Tensor


@dataclass
class Sessions:
    place: torch.Tensor
    live: tuple[object, ...]


@dataclass
class Other:
    weight: torch.Tensor


@dataclass
class Nested:
    inner: dict[str, torch.Tensor]
    asks: torch.Tensor


def nested() -> Nested:
    return Nested(arrays(walk()), torch.tensor([1, 2, 3, 4]))


def walk() -> Walk:
    return Walk(torch.arange(12.0).reshape(4, 3) / 7, torch.tensor([5, 6, 7, 8]))


def test_arrays_are_the_fields() -> None:
    state = walk()
    assert list(arrays(state)) == ["place", "steps"]
    assert arrays(state)["place"] is state.place


def test_select_picks_and_orders_targets() -> None:
    part = select(walk(), torch.tensor([2, 0]))
    assert isinstance(part, Walk)
    assert part.steps.tolist() == [7, 5]
    assert torch.equal(part.place, walk().place[[2, 0]])


def test_select_copies() -> None:
    state = walk()
    part = select(state, torch.tensor([0, 1, 2, 3]))
    part.place.zero_()
    assert torch.equal(state.place, walk().place)


def test_live_objects_are_picked_and_put_back_by_target() -> None:
    live = tuple(object() for _ in range(4))
    state = Sessions(torch.arange(4.0), live)
    assert list(arrays(state)) == ["place"]
    assert list(sessions(state)) == ["live"]
    keep = torch.tensor([3, 1])
    part = select(state, keep)
    assert part.live == (live[3], live[1])
    new = object()
    merged = merge(state, keep, Sessions(part.place + 10, (new, live[1])))
    assert merged.live == (*live[:3], new)
    assert merged.place.tolist() == [0, 11, 2, 13]


def test_live_objects_cannot_be_written() -> None:
    with pytest.raises(AssertionError, match="live cannot be written"):
        to_bytes(Sessions(torch.zeros(1), (object(),)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool])
def test_bytes_round_trip(dtype: torch.dtype) -> None:
    state = Walk((walk().place * 5).to(dtype), walk().steps)
    back = from_bytes(Walk, to_bytes(state), CPU)
    assert back.place.dtype == dtype
    assert torch.equal(back.place, state.place)
    assert torch.equal(back.steps, state.steps)


def test_bytes_keep_special_numbers_and_views() -> None:
    odd = torch.tensor([[float("nan"), float("inf"), -0.0], [1e-45, 1.0, -1.0]])
    back = from_bytes(Walk, to_bytes(Walk(odd.T, odd[:, 1])), CPU)
    assert back.place.numpy().tobytes() == odd.T.contiguous().numpy().tobytes()
    assert torch.equal(back.steps, odd[:, 1])


def test_equal_states_give_equal_bytes() -> None:
    assert to_bytes(walk()) == to_bytes(walk())


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", to_bytes(walk())[:-3], to_bytes(Other(torch.ones(2)))]
)
def test_damage_is_named(data: bytes) -> None:
    with pytest.raises(StoreCorrupt, match="does not hold a Walk"):
        from_bytes(Walk, data, CPU)


def test_dicts_of_tensors_are_part_of_a_state() -> None:
    state = nested()
    assert list(arrays(state)) == ["inner.place", "inner.steps", "asks"]
    part = select(state, torch.tensor([3, 1]))
    assert part.inner["steps"].tolist() == [8, 6]
    back = from_bytes(Nested, to_bytes(part), CPU)
    assert torch.equal(back.inner["place"], part.inner["place"])
    part.inner["steps"] += 10
    assert merge(state, torch.tensor([3, 1]), part).inner["steps"].tolist() == [5, 16, 7, 18]
    assert torch.equal(build(Walk, state.inner).place, walk().place)


def test_bytes_of_a_dict_do_not_pass_for_a_tensor() -> None:
    with pytest.raises(StoreCorrupt, match="does not hold a Walk"):
        from_bytes(Walk, to_bytes(nested()), CPU)
