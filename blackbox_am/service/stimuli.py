"""The dtype in which stimuli are sent, chosen by the caller."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.tensors import to_uint8
from blackbox_am.errors import InvalidInput
from blackbox_am.v1 import tensor_pb2

STIMULUS_DTYPES = {
    tensor_pb2.DTYPE_UNSPECIFIED: "uint8",
    tensor_pb2.DTYPE_UINT8: "uint8",
    tensor_pb2.DTYPE_FLOAT32: "float32",
}


def check_stimulus_dtype(number: int) -> str:
    """The requested dtype of stimuli: `uint8` or `float32`.

    Raises:
        InvalidInput: for another dtype.
    """
    name = STIMULUS_DTYPES.get(number)  # type: ignore[call-overload]  # any number may be received
    if name is None:
        raise InvalidInput(
            "stimulus_dtype: stimuli are sent as UINT8 (0..255 for 0..1) or FLOAT32, got number "
            f"{number}",
            field="stimulus_dtype",
        )
    return str(name)


def as_dtype(stimuli: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Stimuli in [0, 1] as rounded `uint8`, or unchanged as `float32`."""
    return to_uint8(stimuli) if dtype == "uint8" else stimuli
