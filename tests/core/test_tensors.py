import hashlib
import struct

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.tensors import (
    DTYPES,
    check_shape,
    checksum,
    from_bytes,
    to_bytes,
    to_uint8,
    to_unit_interval,
)
from blackbox_am.errors import InvalidInput, ShapeMismatch

arrays = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: hnp.arrays(DTYPES[name], hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


@given(arrays)
def test_from_bytes_is_the_inverse_of_to_bytes(array: np.ndarray) -> None:
    again = from_bytes(array.dtype.name, array.shape, to_bytes(array))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_bytes_are_little_endian_and_row_major() -> None:
    array = np.array([[1, 2], [3, 4]], dtype=">i4").T
    assert to_bytes(array) == np.array([1, 3, 2, 4], dtype="<i4").tobytes()


def test_what_is_read_cannot_be_written_to() -> None:
    array = from_bytes("float32", (1,), bytes(4))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "message"),
    [
        ("complex64", (1,), bytes(8), "unknown dtype 'complex64'; known: float32"),
        ("float32", (-1,), b"", "negative"),
        ("float32", (2, 3), bytes(23), "is 24 bytes, got 23"),
        ("float32", (2**40, 2**40), b"", "got 0"),
    ],
)
def test_bytes_that_do_not_fit(
    dtype: str, shape: tuple[int, ...], data: bytes, message: str
) -> None:
    with pytest.raises(ShapeMismatch, match=f"latents: .*{message}") as caught:
        from_bytes(dtype, shape, data, field="latents")
    assert caught.value.field == "latents"


def test_check_shape() -> None:
    check_shape(np.zeros((4, 3)), (None, 3), "scores")
    for shape in ((4, 2), (4,), (None, 3, 1)):
        with pytest.raises(ShapeMismatch, match=r"scores: expected shape .*, got \(4, 3\)"):
            check_shape(np.zeros((4, 3)), shape, "scores")


@given(hnp.arrays(np.float32, 8, elements=st.floats(-10, 10, width=32)), st.integers(0, 7))
def test_checksums_tell_arrays_apart(array: np.ndarray, place: int) -> None:
    changed = array.copy()
    changed[place] = np.nextafter(changed[place], np.float32(11))
    assert checksum(changed) != checksum(array)
    assert checksum(array.copy()) == checksum(array)
    assert len(checksum(array)) == 16


def test_a_checksum_is_the_same_on_every_machine() -> None:
    native = np.arange(6, dtype=np.float32)
    assert checksum(native.astype(">f4")) == checksum(native)
    little_endian = struct.pack("<6f", 0, 1, 2, 3, 4, 5)
    assert checksum(native) == hashlib.blake2b(little_endian, digest_size=16).digest()


@given(hnp.arrays(np.uint8, (3, 4)))
def test_uint8_survives_the_unit_interval(array: np.ndarray) -> None:
    stimuli = to_unit_interval(array)
    assert stimuli.dtype == np.float32
    assert 0 <= stimuli.min() <= stimuli.max() <= 1
    np.testing.assert_array_equal(to_uint8(stimuli), array)


def test_to_uint8_rounds_to_nearest_and_cuts_off() -> None:
    values = np.array([-1, 0, 0.49 / 255, 0.51 / 255, 254.6 / 255, 1, 7], dtype=np.float32)
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 0, 1, 255, 255, 255])
    already = np.array([3], dtype=np.uint8)
    assert to_uint8(already) is already


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bytes_hold_no_nan_and_no_infinity(bad: float) -> None:
    stimuli = np.zeros((3, 200, 200), np.float32)
    stimuli[2, 199, 199] = bad
    with pytest.raises(InvalidInput, match="expected finite numbers from 0 to 1, got"):
        to_uint8(stimuli)
