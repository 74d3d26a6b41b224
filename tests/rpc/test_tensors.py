"""Arrays survive the wire; nonsense is refused with the reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blackbox_am.core.tensors import DTYPES
from blackbox_am.errors import ShapeMismatch
from blackbox_am.rpc import tensors
from blackbox_am.v1.tensor_pb2 import Dtype, Tensor


@given(
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda name: hnp.arrays(DTYPES[name], hnp.array_shapes(min_dims=0, min_side=0))
    )
)
def test_every_dtype_comes_back_to_the_bit(array):
    message = Tensor.FromString(tensors.to_proto(array).SerializeToString())
    back = tensors.from_proto(message)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_other_strides_and_byte_orders_travel_row_major_little_endian():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    message = tensors.to_proto(array)
    assert message.data == np.array([0, 3, 1, 4, 2, 5], "<i4").tobytes()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Tensor(), "got none; is the tensor filled in"),
        (Tensor(dtype=99, shape=[1], data=b"1234"), "number 99"),
        (Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=[2, 3], data=b"123"), "24 bytes, got 3"),
        (Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=[-1], data=b""), "negative"),
        (Tensor(dtype=Dtype.DTYPE_UINT8, shape=[2**62, 2**62], data=b""), "bytes, got 0"),
    ],
)
def test_malformed_tensors_are_refused(message, says):
    with pytest.raises(ShapeMismatch, match=says) as caught:
        tensors.from_proto(message, field="stimuli")
    assert caught.value.field == "stimuli"


def test_a_header_announces_its_bytes():
    assert tensors.size_of(tensors.header("float64", (3, 5))) == 120
    with pytest.raises(ShapeMismatch, match="negative"):
        tensors.size_of(Tensor(dtype=Dtype.DTYPE_UINT8, shape=[-2]))
